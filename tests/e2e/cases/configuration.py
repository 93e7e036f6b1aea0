"""The configuration file from outside: what is said about a bad one, exit codes, precedence of the command line."""
import os
import subprocess

from harness import golden
from harness.api import ADMIN, KV
from harness.case import case, check, fails, same
from harness.proxy import BINARY, Proxy

FINE = "namespaces: [{name: here, backend: memory}]\n"
EXIT_CONFIG, EXIT_USAGE, EXIT_ADDRESS_IN_USE, EXIT_PRECONDITION = 70, 2, 71, 28


@case
def each_problem_of_a_file_is_told():
    for name, text in golden.configurations():
        p = Proxy(config=text)
        done = subprocess.run([BINARY, "--check-config", "--config", "prism.yaml"], cwd=p.folder, capture_output=True, check=False)
        same((done.returncode, done.stdout), (EXIT_CONFIG, b""), name)
        golden.same(name, done.stderr.decode())
        p.temporary.cleanup()


@case
def a_valid_file_is_called_valid():
    p = Proxy(config=FINE)
    done = subprocess.run(p.command() + ["--check-config"], capture_output=True, check=False)
    same((done.returncode, done.stderr), (0, b""))
    check(b"is valid: 1 namespaces" in done.stdout, done.stdout)
    p.temporary.cleanup()


@case
def a_bad_file_keeps_the_proxy_from_starting():
    code, out, log = Proxy(config="namespaces: [{name: a, bakend: memory}]\n").run_to_end()
    same((code, out), (EXIT_CONFIG, ""))
    check("did you mean `backend`?" in log and "prism.yaml:1:24" in log, log)


@case
def a_missing_file_is_named():
    code, _, log = Proxy(args=["--config", "/nowhere/prism.yaml"]).run_to_end()
    same(code, EXIT_CONFIG)
    check("/nowhere/prism.yaml" in log and "No such file" in log, log)


@case
def the_command_line_goes_before_the_file():
    with Proxy(config="listen: 127.0.0.1:1\nworkers: 1\nlog: {level: error}\n" + FINE, args=["--workers", "2"]) as p:
        with p.admin() as admin:
            same(admin(ADMIN + "GetStatus").workers, 2)
        check(p.listen != "127.0.0.1:1", p.listen)
        same(p.log_text(), "", "log at level error")


@case
def only_configured_namespaces_are_served():
    with Proxy(config=FINE) as p, p.client() as call:
        call(KV + "Set", "here", key=b"k", value=b"v")
        with fails("NOT_FOUND", "NAMESPACE_UNKNOWN"):
            call(KV + "Get", "default", key=b"k")


@case
def a_namespaces_own_message_limit_counts():
    with Proxy(config="namespaces: [{name: s, backend: memory, limits: {message_bytes: 64KiB}}, {name: b, backend: memory, "
                      "limits: {message_bytes: 8MiB}}]\n") as p, p.client() as call:
        call(KV + "Set", "s", key=b"k", value=b"x" * 60000)
        with fails("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"):
            call(KV + "Set", "s", key=b"k", value=b"x" * 70000)
        call(KV + "Set", "b", key=b"k", value=b"x" * (6 << 20))


@case
def a_transport_of_ones_own_serves_calls():
    for transport in ("{congestion_control: reno, spin: 100us}", "{congestion_control: system}", "{spin: 0s}", "{}"):
        with Proxy(config="transport: %s\n" % transport + FINE) as p, p.client() as call:
            call(KV + "Set", "here", key=b"k", value=b"v")
            same([call(KV + "Get", "here", key=b"k").value for _ in range(20)], [b"v"] * 20)


@case
def usage_errors_have_their_exit_code():
    for arguments in (["--nonsense"], ["--workers", "0"], ["--workers", "x"], ["stray"]):
        done = subprocess.run([BINARY] + arguments, capture_output=True, check=False)
        same((done.returncode, done.stdout), (EXIT_USAGE, b""), arguments)
        check(done.stderr, arguments)


@case
def help_and_version_are_for_people():
    for argument in ("--help", "--version"):
        done = subprocess.run([BINARY, argument], capture_output=True, check=False)
        same((done.returncode, done.stderr), (0, b""), argument)
        check(b"prism-proxy" in done.stdout)


@case
def two_proxies_never_share_a_folder():
    with Proxy() as p:
        code, _, log = Proxy(folder=p.folder).run_to_end()
        same(code, EXIT_PRECONDITION)
        check("another process uses" in log, log)
    with Proxy() as p:
        same(oct(os.stat(os.path.join(p.folder, "data", "secret")).st_mode & 0o777), "0o600", "mode of the secret")
        same(os.path.getsize(os.path.join(p.folder, "data", "secret")), 32, "bytes of the secret")


@case
def an_address_in_use_is_told():
    with Proxy() as p:
        code, _, log = Proxy(args=["--metrics-listen", p.metrics]).run_to_end()
        same(code, EXIT_ADDRESS_IN_USE)
        check(p.metrics in log, log)


@case
def a_damaged_secret_is_not_replaced():
    with Proxy() as p:
        pass
    p = Proxy()
    os.mkdir(os.path.join(p.folder, "data"))
    with open(os.path.join(p.folder, "data", "secret"), "wb") as out:
        out.write(b"short")
    code, _, log = p.run_to_end()
    same(code, 64)
    check("5 bytes instead of 32" in log, log)
