"""Help, errors of the command line, completion, manual page."""
import os
import re
import subprocess

from world import PRISMCTL, ROOT

COMMANDS = ["health", "status", "namespace list", "namespace describe", "backend list", "backend health", "backend stats", "backend test", "kv get", "kv set", "kv delete",
            "kv exists", "kv ttl", "kv expire", "kv persist", "kv count", "kv scan", "kv import", "kv export", "call",
            "services", "describe", "config validate", "config reload", "completion", "help"]
COMMANDS += ["list " + c for c in ("push", "pop", "get", "set", "insert", "remove", "range", "trim", "clear")]
COMMANDS += ["set " + c for c in ("add", "remove", "contains", "members", "size", "random", "union", "intersection", "difference",
                                  "clear")]
COMMANDS += ["sortedset " + c for c in ("add", "remove", "score", "rank", "range", "scores", "lex", "union", "intersection",
                                        "clear")]
COMMANDS += ["counter " + c for c in ("add", "get", "clear")]
COMMANDS += ["stream " + c for c in ("topics", "create", "delete", "config", "produce", "consume", "groups", "lag", "forget")]


def test_help_names_every_command(w):
    out = w.ctl("--help").ok().out
    found = re.findall(r"^  ((?:[a-z]+ )?[a-z]+)  +\S", out.split("Commands:")[1].split("Options")[0], re.M)
    assert [f.strip() for f in found] == COMMANDS, found


def test_every_command_has_help_with_examples(w):
    for command in COMMANDS:
        out = w.ctl(*command.split(), "--help").ok().out
        assert out.startswith("Usage: prismctl " + command), out
        assert "\nExamples:\n  " in out, command
        assert w.ctl("help", *command.split()).ok().out == out, command


def test_help_of_a_group(w):
    out = w.ctl("kv", "--help").ok().out
    assert "kv import" in out and "namespace list" not in out
    w.ctl("kv").fails(2, "which of them", "prismctl kv --help")


def test_version(w):
    assert re.fullmatch(r"prismctl \d+\.\d+\.\d+\n", w.ctl("--version").ok().out)


def test_without_a_command(w):
    w.ctl().fails(2, "Usage: prismctl", "no command")


def test_near_words_are_suggested(w):
    w.ctl("heatlh").fails(2, 'there is no command "heatlh"', "did you mean health?")
    w.ctl("kv", "gett", "a").fails(2, "did you mean kv get?")
    w.ctl("kv", "scan", "--prefx", "a").fails(2, "there is no option --prefx", "did you mean --prefix?")
    w.ctl("--adress", "x", "health").fails(2, "did you mean --address?")
    w.ctl("qqqqqqqq").fails(2, 'there is no command "qqqqqqqq". Try prismctl --help')


def test_wrong_values_are_told(w):
    w.ctl("health", "--output", "xml").fails(2, "table|json|yaml", '"xml"')
    w.ctl("health", "--timeout", "soon").fails(2, "--timeout", "250ms", '"soon"')
    w.ctl("kv", "scan", "--limit", "-1").fails(2, "--limit takes a number")
    w.ctl("kv", "scan", "--limit").fails(2, "--limit needs a value")
    w.ctl("health", "--verbose=yes").fails(2, "--verbose takes no value")
    w.ctl("health", "-x").fails(2, "there is no option -x")
    w.ctl("health", "-o", "json", "-o", "yaml").fails(2, "given twice")
    w.ctl("health", "-m", "nonsense").fails(2, "KEY=VALUE")
    w.ctl("health", env={"PRISM_OUTPUT": "xml"}).fails(2, "PRISM_OUTPUT", "table|json|yaml")


def test_arguments_are_counted(w):
    w.ctl("kv", "get").fails(2, "KEY is missing", "prismctl kv get --help")
    w.ctl("kv", "get", "a", "b").fails(2, '"b" is one argument too many')
    w.ctl("kv", "set", "a").fails(2, "VALUE is missing")


def test_options_stand_anywhere(w):
    w.ctl("kv", "set", "usage", "x").ok()
    for line in (["-n", "sqlite", "kv", "get", "usage"], ["kv", "-nsqlite", "get", "usage"],
                 ["kv", "get", "--namespace=sqlite", "usage"], ["kv", "get", "usage", "--namespace", "sqlite"]):
        assert w.ctl(*line, env={"PRISM_NAMESPACE": "nobody"}).ok().out == "x", line
    w.ctl("kv", "set", "--", "--dash", "y").ok()
    assert w.ctl("kv", "get", "--", "--dash").ok().out == "y"


def test_completion_in_bash(w):
    script = w.file("completion.bash", w.ctl("completion", "bash").ok().raw)
    ask = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _prismctl; printf "%s\\n" "${COMPREPLY[@]}"'

    def complete(*words):
        return w.run("bash", "-c", ask, "bash", script, *words).ok().out.split()
    assert complete("prismctl", "he") == ["health", "help"]
    assert complete("prismctl", "kv", "ex") == ["exists", "expire", "export"]
    assert complete("prismctl", "-o", "") == ["table", "json", "yaml"]
    assert complete("prismctl", "kv", "import", "--on-error", "") == ["stop", "skip"]
    assert "--prefix" in complete("prismctl", "kv", "scan", "--")
    assert "--namespace" in complete("prismctl", "-n", "x", "kv", "get", "--")
    assert complete("prismctl", "completion", "z") == ["zsh"]
    assert os.path.basename(script) in complete("prismctl", "kv", "import", script[:-3])[0]


def test_completion_in_zsh(w):
    # _describe and _arguments stand for zsh's own and print what they are given.
    script = w.file("_prismctl", w.ctl("completion", "zsh").ok().raw)
    ask = ('autoload -Uz compinit; compdef() { }; source "$1"; shift; _describe() { print -l -- "${(@P)2}" }; '
           '_arguments() { print -l -- "$@" }; words=("$@"); CURRENT=$#; _prismctl')

    def complete(*words):
        return w.run("zsh", "-f", "-c", ask, "zsh", script, *words).ok().out
    assert "health:whether the proxy serves" in complete("prismctl", "")
    assert "kv:keys and values" in complete("prismctl", "")
    assert "import:store many records" in complete("prismctl", "kv", "")
    out = complete("prismctl", "kv", "scan", "--")
    assert "--prefix=" in out and "--output=" in out and "(table json yaml)" in out, out
    assert "_files" in complete("prismctl", "config", "validate", "")


def test_written_pages_are_current(w):
    for path, command in (("completions/prismctl.bash", ["completion", "bash"]), ("completions/_prismctl", ["completion", "zsh"]),
                          ("docs/man/prismctl.1", ["help", "--man"])):
        with open(os.path.join(ROOT, path)) as f:
            assert f.read() == w.ctl(*command).ok().out, "%s is old: build/prismctl %s > %s" % (path, " ".join(command), path)


def test_colour_on_a_terminal_only(w):
    def on_terminal(**env):
        # script(1) runs a command on a terminal of its own.
        done = subprocess.run(["script", "-qec", PRISMCTL + " health", "/dev/null"], stdin=subprocess.DEVNULL,
                              capture_output=True, env=w.environment(TERM="xterm", **env), check=True)
        return done.stdout
    assert b"\x1b[" in on_terminal()
    assert b"\x1b[" not in on_terminal(NO_COLOR="1")
    assert b"\x1b[" not in w.ctl("health").ok().raw


def test_the_version_needs_nothing(w):
    """No home, no configuration, no server, no folder to stand in: so it starts as fast as a program may."""
    done = w.run("env", "-i", "-C", "/", PRISMCTL, "--version").ok()
    assert done.out.startswith("prismctl "), done


def test_a_full_output_is_an_error(w):
    done = w.run("bash", "-c", PRISMCTL + " --help > /dev/full")
    done.fails(73, "standard output takes no more")


def test_a_reader_that_goes_ends_quietly(w):
    # More than a pipe holds, so that there is still something to write when head has gone.
    lines = "".join('{"key":"quiet/%05d/%s"}\n' % (i, "x" * 200) for i in range(5000))
    w.ctl("kv", "import", "-", stdin=lines.encode()).ok()
    done = w.run("bash", "-c", "%s kv scan quiet/ -k | head -n 1; echo ${PIPESTATUS[0]}" % PRISMCTL).ok()
    assert done.err == "" and done.out.split()[1] == "141", done
