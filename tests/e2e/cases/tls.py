"""TLS and client certificates, made by openssl here; files that change are read again."""
import os
import subprocess
import tempfile
import time

import grpc

from harness.api import HEALTH, KV, Client
from harness.case import case, check, fails, same
from harness.certificates import Authority
from harness.proxy import Proxy


def configuration(folder, rest=""):
    return ("tls: {cert_file: %s/server.pem, key_file: %s/server.key%s}\nnamespaces: [{name: memory, backend: memory}]\n"
            % (folder, folder, rest))


def client(p, authority, trusted, own=None):
    credentials = grpc.ssl_channel_credentials(authority.read(trusted + ".pem"), authority.read(own + ".key") if own else None,
                                               authority.read(own + ".pem") if own else None)
    return Client(p.listen, credentials, options=[("grpc.use_local_subchannel_pool", 1)])


@case
def the_data_port_speaks_tls():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder, "ca")
        Authority(folder, "other")
        authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        with Proxy(config=configuration(folder)) as p:
            with client(p, authority, "ca") as call:
                call(KV + "Set", "memory", key=b"k", value=b"v")
                same(call(KV + "Get", "memory", key=b"k").value, b"v")
            with client(p, authority, "other") as call, fails("UNAVAILABLE"):
                call(KV + "Get", "memory", key=b"k", timeout=5)
            with Client(p.listen) as call, fails("UNAVAILABLE"):
                call(KV + "Get", "memory", key=b"k", timeout=5)
            with p.admin() as admin:
                same(admin(HEALTH + "Check").status, 1, "the metrics port stays plain")


@case
def client_certificates_are_asked_for():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder, "ca")
        authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        authority.issue("alice", "URI:spiffe://prism/alice")
        Authority(folder, "other").issue("mallory", "URI:spiffe://prism/alice")
        rest = ", client_ca_file: %s/ca.pem, client_cert_required: true" % folder
        with Proxy(config=configuration(folder, rest)) as p:
            with client(p, authority, "ca", "alice") as call:
                call(KV + "Set", "memory", key=b"k", value=b"v")
            for own in (None, "mallory"):
                with client(p, authority, "ca", own) as call, fails("UNAVAILABLE"):
                    call(KV + "Get", "memory", key=b"k", timeout=5)
        with Proxy(config=configuration(folder, ", client_ca_file: %s/ca.pem" % folder)) as p:
            for own in (None, "alice"):
                with client(p, authority, "ca", own) as call:
                    call(KV + "Set", "memory", key=b"k", value=b"v")


def presented(p):
    done = subprocess.run(["openssl", "s_client", "-connect", p.listen, "-alpn", "h2"], input=b"", capture_output=True, check=False,
                          timeout=20)
    text = done.stdout
    return text[text.index(b"-----BEGIN CERTIFICATE"):text.index(b"-----END CERTIFICATE")]


@case
def files_that_change_are_read_again():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder, "ca")
        authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        with Proxy(config=configuration(folder)) as p, client(p, authority, "ca") as call:
            before = presented(p)
            call(KV + "Set", "memory", key=b"k", value=b"v")
            with open(os.path.join(folder, "server.pem"), "w", encoding="ascii") as out:
                out.write("not a certificate\n")
            p.await_log("reading the TLS files failed, the old ones stay")
            same(presented(p), before, "certificate after a bad file")
            authority.issue("server", "DNS:localhost,IP:127.0.0.1")
            p.await_log("TLS files reloaded")
            check(presented(p) != before, "another certificate")
            same(call(KV + "Get", "memory", key=b"k").value, b"v", "the connection that was open")


@case
def a_certificate_without_its_key_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder, "ca")
        authority.issue("server", "DNS:localhost")
        authority.issue("other", "DNS:localhost")
        os.replace(os.path.join(folder, "other.key"), os.path.join(folder, "server.key"))
        start = time.monotonic()
        code, _, log = Proxy(config=configuration(folder)).run_to_end()
        check(code not in (0, None) and "server" in log, log)
        check(time.monotonic() - start < 20)
