"""Case 65: histories of each key, checked for linearizability (tests/proof/linear.h), while the backend is killed and started again,
cut off, and its connections are reset."""
import json
import os
import subprocess

from harness.api import ROOT
from harness.case import check, same
from world import SCALE, Setup, on_backends

BETWEEN_S = {"postgres": 0.2, "redis": 0.05}  # troubles: connecting takes its time
KILLED = {"postgres": 5, "redis": 60}         # histories: and starting again even more
HISTORIES, OPERATIONS = 40, 800
EXPIRY = {"postgres": ["--expiry", "0"], "redis": []}  # PostgreSQL and values of milliseconds: tests/proof/README.md
SETTINGS = "breaker: {failures: 0}, retry: {max_attempts: 3, budget_percent: 100}"


def history_program():
    subprocess.run(["make", "-s", "build/proof/history"], cwd=ROOT, check=True)
    return os.path.join(ROOT, "build", "proof", "history")


def histories_during(kind, setup, seed, trouble, histories=HISTORIES, patience=1):
    """Runs histories of keys of their own (the seed names them) until they end, with trouble(n) again and again meanwhile, with a while between; what the program counted, and how much trouble."""
    command = [history_program(), "--address", setup.proxy.listen, "--namespace", "far", "--histories", str(round(histories * SCALE)),
               "--operations", str(OPERATIONS), "--seed", str(seed)] + EXPIRY[kind.name]
    troubles = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        while program.poll() is None:
            trouble(troubles)
            troubles += 1
            try:
                program.wait(BETWEEN_S[kind.name] * patience)
            except subprocess.TimeoutExpired:
                pass
        out, said = program.communicate()
    result = json.loads(out.splitlines()[-1])
    check(result["ok"], "%s\n%s" % (result, said))
    return result, troubles


def expect_trouble(result, troubles):
    same(result["violations"], 0)
    check(troubles >= 1 and result["unanswered"] + result["not_executed"] > 0, (troubles, result))


@on_backends()
def connections_are_reset(kind):
    with Setup(kind, namespace_options=SETTINGS) as s:
        expect_trouble(*histories_during(kind, s, 1000, lambda n: s.relay.cut("rst", part=(n % 2 + 1) / 2)))


@on_backends()
def answers_are_lost(kind):
    with Setup(kind, namespace_options=SETTINGS) as s:
        expect_trouble(*histories_during(kind, s, 2000, lambda n: s.relay.set(cut_on_answer=(0.02, 0)[n % 2])))


@on_backends()
def it_is_cut_off_and_comes_back(kind):
    with Setup(kind, namespace_options=SETTINGS) as s:
        def trouble(n):
            if n % 2:
                s.relay.clear()
            else:
                s.relay.set(refuse=True, down={"black_hole": True}, up={"black_hole": True})
                s.relay.cut("rst")
        expect_trouble(*histories_during(kind, s, 3000, trouble, 2))


@on_backends()
def it_is_killed_and_started_again(kind):
    """Acknowledged is on the disk: Redis with appendfsync always, PostgreSQL as it comes."""
    with Setup(kind, namespace_options=SETTINGS) as s:
        expect_trouble(*histories_during(kind, s, 4000, lambda n: kind.kill_and_start(), KILLED[kind.name], 10))
