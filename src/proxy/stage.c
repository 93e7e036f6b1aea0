/* The engine: stage.h has the picture. */
#include "proxy/stage.h"

const struct stage *const stages_plain[] = {&stage_identify, &stage_limit, &stage_decode, &stage_route, NULL};
const struct stage *const stages_paused[] = {&stage_identify, &stage_limit, &stage_pause,
                                             &stage_decode,   &stage_route, NULL};
const struct stage *const stages_guarded_paused[] = {&stage_identify, &stage_limit, &stage_pause,
                                                     &stage_decode,   &stage_guard, NULL};
const struct stage *const stages_guarded[] = {&stage_identify, &stage_limit, &stage_decode, &stage_guard, NULL};

void stages_enter(struct passage *p)
{
    for (const struct stage *s; (s = p->stages[p->entered]); p->entered++)
        if (s->enter(p) != STAGE_NEXT)
            return;
}

void stages_resume(struct passage *p)
{
    p->entered++;
    stages_enter(p);
}

void stages_leave(struct passage *p, enum err e)
{
    while (p->entered > 0) {
        const struct stage *s = p->stages[--p->entered];
        if (s->leave)
            s->leave(p, e);
    }
}
