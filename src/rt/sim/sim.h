/* The deterministic twin of the machine: the same loops, connections and files, from a seed, in one thread.
 *
 *   struct sim *sim;
 *   sim_new(seed, &sim);
 *   loop_new(sim_env(sim), 0, &loop);          as many loops as a test needs; they share clock, network and disk
 *   while (!done && loop_turn(loop, true)) {}  time jumps to what happens next when nothing is ready
 *   loop_free(loop); sim_free(sim);
 *
 * Equal seeds and equal calls give equal runs, byte for byte. Network: pipes in memory; bytes arrive after a seeded delay, reads
 * and writes are sometimes short, connections can be lost. Any HOST:PORT is an address; a port of 0 is the next free one; what
 * nobody listens on refuses. Disk: files in memory; a crash drops what was not synced; faults of it: disk.h. Work for a pool runs on the loop's
 * thread, between polls. Signals come by sim_signal. Thread: one for everything. */
#ifndef PRISM_RT_SIM_SIM_H
#define PRISM_RT_SIM_SIM_H

#include "rt/loop.h"

struct sim;

enum err sim_new(uint64_t seed, struct sim **ret_sim) __attribute__((warn_unused_result));
void sim_free(struct sim *); /* after its loops */
const struct env *sim_env(const struct sim *);
uint64_t sim_now_ns(const struct sim *);
/* Moves the clock; what becomes due happens in the loops' next turns. */
void sim_advance(struct sim *, uint64_t ns);
/* Seeded: for the test's own choices. */
uint64_t sim_random(struct sim *);
/* Below n, which is not 0. */
uint64_t sim_choose(struct sim *, uint64_t n);

/* How long a segment of bytes, a connect or a close is on its way; 20 to 200 µs at the start. */
void sim_set_delay(struct sim *, uint64_t min_ns, uint64_t max_ns);
/* All connections are lost now: both sides see a reset. Listeners stay. */
void sim_cut(struct sim *);
/* The machine lost power and has it again: open descriptors are gone, files hold what was synced, or what the plan of disk.h
 * leaves of the rest; files and folders whose names were not synced (sync_folder, rename) are gone. */
void sim_crash_disk(struct sim *);
/* To every loop that subscribed. */
void sim_signal(struct sim *, int signal);

#endif
