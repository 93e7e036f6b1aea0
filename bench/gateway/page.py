"""The page that a run of the benchmark writes: bars first, then the tables that they were taken from."""
import datetime
import os
import statistics

from world import machine, versions

SHAPES = {(1, 1): 2000, (8, 10): 60000, (64, 10): 100000, (64, 100): 150000}  # connections, streams: calls of h2load


def median(pairs, which, key):
    return statistics.median(pair[which][key] for pair in pairs)


def spread(values, digits=2):
    """Median, least and most."""
    values = list(values)
    return f"{statistics.median(values):.{digits}f} × bare ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratios(pairs, key):
    return [ours[key] / theirs[key] for theirs, ours in pairs]


def ratio(pairs, key):
    return statistics.median(ratios(pairs, key))


# --- bars --------------------------------------------------------------------------------------------------------------------

def verdict(value, bar, at_most=True):
    return "reached" if (value <= bar if at_most else value >= bar) else "**missed**"


def is_quiet(m):
    return m["load"] < 1


def timed(m, value, bar, at_most=True):
    """The verdict on what other work can make slower."""
    return verdict(value, bar, at_most) if is_quiet(m) else "not decided: the machine was busy"


def cpu_bars(m):
    for shape in ((64, 10), (64, 100)):
        pairs = m["shapes"]["h2load", "Get", shape]
        yield (f"server CPU of a Get, {shape[0]} × {shape[1]}, h2load", spread(ratios(pairs, "cpu_us")), "at most 1.6 ×",
               verdict(ratio(pairs, "cpu_us"), 1.6))


def cores_left(pair):
    """Of two workers' cores, the part that the client did not use."""
    client = pair[1]["client_cpu_us"] * pair[1]["rate"] / 1e6
    return 1 - client / 2


def workers_bar(m):
    """Where there is no core for the client, its share of theirs is taken out: it would not be there."""
    pairs = m["workers"]
    measured = statistics.median(two["rate"] / one["rate"] for one, two in pairs)
    shared = os.cpu_count() <= 2
    apart = statistics.median(two["rate"] / cores_left((one, two)) / one["rate"] for one, two in pairs)
    value = apart if shared else measured
    note = f"; {apart:.2f} × without the {1 - statistics.median(map(cores_left, pairs)):.0%} of both cores that the client takes" if shared else ""
    yield ("two workers against one, 64 × 100, raw client, 1,000 keys",
           f"{measured:.2f} × ({median(pairs, 0, 'rate'):,.0f} → {median(pairs, 1, 'rate'):,.0f} calls/s){note}",
           "1.7 ×, where the client is not the limit", timed(m, value, 1.7, False))


def bars(m):
    """(what, measured, bar, verdict)"""
    yield from cpu_bars(m)
    yield ("p99 at 1,000 Gets/s over 16 connections, open loop", spread(ratios(m["open"], "p99")), "at most 1.3 ×",
           timed(m, ratio(m["open"], "p99"), 1.3))
    yield from workers_bar(m)
    yield "resident, idle", f"{m['memory'][0]:.1f} MiB", "under 20 MiB", verdict(m["memory"][0], 20)
    yield "resident, 1,000 connections", f"{m['memory'][1]:.1f} MiB", "under 64 MiB", verdict(m["memory"][1], 64)
    for key, what in (("start", "start to first answer"), ("first_start", "the same, with a new data folder: makes two databases")):
        start = statistics.median(m[key])
        yield what, f"{start:.0f} ms ({min(m[key]):.0f} to {max(m[key]):.0f})", "under 50 ms", timed(m, start, 50)
    one, many = (statistics.median(pair[i] for pair in m["durable"]) for i in (0, 1))
    yield ("durable Sets on SQLite, 64 callers against one", f"{many / one:.1f} × ({one:,.0f} → {many:,.0f} calls/s)",
           "at least 7 ×", timed(m, many / one, 7, False))


# --- tables ------------------------------------------------------------------------------------------------------------------

def shape_table(results, client, method):
    yield f"\n| {client}: connections × streams | CPU µs a call: bare | Prism | ratio | calls/s: bare | Prism | p50 µs | p99 µs | p99.9 µs |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for connections, streams in SHAPES:
        p = results[client, method, (connections, streams)]
        all_ratios = ratios(p, "cpu_us")
        latency = " | ".join(f"{median(p, 0, k):,.0f} / {median(p, 1, k):,.0f}" for k in ("p50", "p99", "p99_9"))
        yield (f"| {connections} × {streams} | {median(p, 0, 'cpu_us'):.2f} | {median(p, 1, 'cpu_us'):.2f} | "
               f"**{statistics.median(all_ratios):.2f}** ({min(all_ratios):.2f} to {max(all_ratios):.2f}) | "
               f"{median(p, 0, 'rate'):,.0f} | {median(p, 1, 'rate'):,.0f} | {latency} |")


def shape_section(m, method):
    yield f"\n## {method} of 100 B\n\nLatency is bare / Prism, of a closed loop, so it grows with the calls in flight."
    yield from shape_table(m["shapes"], "h2load", method)
    yield from shape_table(m["shapes"], "raw", method)


def client_note(m):
    cost = {shape: median(m["shapes"]["raw", "Get", shape], 1, "client_cpu_us") for shape in ((64, 10), (64, 100))}
    yield ("\nh2load takes as much CPU a call as the servers: above some 100,000 calls/s it is the limit, and CPU a call is what "
           "tells. The raw client (`bench/gateway/raw_client.c`) sends a request that was encoded once and walks the answers by their "
           "frame headers, checking status, grpc-status and length of each; it takes "
           f"{cost[64, 10]:.2f} µs a call at 64 × 10 and {cost[64, 100]:.2f} at 64 × 100, most of it the kernel's. It sends the path "
           "by reference, as gRPC's own clients do and h2load does not, which saves both servers the same work, and the bare one a "
           "larger part of its own.")


def open_section(m):
    yield (f"\n## Open loop: 1,000 Gets a second, 16 connections\n\nBy the raw client, which never sleeps, in {len(m['open'])} rounds of "
           "each, in turn; latency from the scheduled time, in µs, medians of the rounds. Gaps are the control: how long the client's "
           "own core was taken from it while nothing came.\n")
    yield "| | p50 | p90 | p99 | p99.9 | max | gaps above 20 µs a second | gap p99 | longest gap |\n|---|---|---|---|---|---|---|---|---|"
    for which, name in enumerate(("bare", "Prism")):
        latency = " | ".join(f"{median(m['open'], which, k):.0f}" for k in ("p50", "p90", "p99", "p99_9", "max"))
        rounds = [pair[which] for pair in m["open"]]
        gaps = " | ".join(f"{statistics.median(r['gap_us'][k] for r in rounds):.0f}" for k in ("p99", "max"))
        count = statistics.median(r["gaps"] / (r["calls"] / 1000) for r in rounds)
        yield f"| {name} | {latency} | {count:.0f} | {gaps} |"


def transport_section(m):
    yield ("\n## Settings of the transport\n\n`transport` in prism.yaml ([tuning](guide/tuning.md)), one worker, raw client, in turn; "
           "CPU in µs a call, medians. system is what the machine is set to. 1 × 1: the client never sleeps.\n")
    yield ("| setting | 100 B, 1 × 1: p50 µs | p99 µs | CPU | 100 B, 64 × 10: calls/s | CPU | 64 KiB, 4 × 4: MiB/s | CPU | "
           "64 KiB, 1 × 16: MiB/s | CPU |\n|---|---|---|---|---|---|---|---|---|---|")
    for name, rounds in m["transports"].items():
        def middle(case, key, rounds=rounds):
            return statistics.median(r[case][key] for r in rounds if case in r)
        large, bulk = (middle(case, "rate") * 64 / 1024 for case in ("large", "bulk"))
        yield (f"| {name} | {middle('one', 'p50'):.1f} | {middle('one', 'p99'):.1f} | {middle('one', 'cpu_us'):.1f} | "
               f"{middle('many', 'rate'):,.0f} | {middle('many', 'cpu_us'):.2f} | {large:,.0f} | {middle('large', 'cpu_us'):.1f} | "
               f"{bulk:,.0f} | {middle('bulk', 'cpu_us'):.1f} |")


def head(m):
    yield "---\ntitle: Benchmarks of the gateway\ngenerated by: bench/gateway/run\n---\n"
    yield "# Benchmarks of the gateway\n"
    yield ("Elsewhere: [Prism beside Redis and PostgreSQL asked directly](benchmarks-backends.md), [MemoryStreamer beside Apache Kafka and "
           "other logs](benchmarks-streamer.md).\n")
    rounds = len(m["shapes"]["raw", "Get", (1, 1)])
    yield (f"Made by `make bench` on {datetime.date.today()}, {rounds} rounds, {m['took']:.0f} s. Figures of a machine mean "
           "little elsewhere; ratios mean more.\n")
    yield f"- Machine: {machine()}; load average before the run: {m['load']:.1f}"
    yield f"- Versions: {versions()}"
    yield ("- Bare: `bench/gateway/bare_http2.c`, one thread, nghttp2 and epoll, answers as many bytes as Prism does, without "
           "routing, protobuf or limits")
    yield "- Prism: `prism-proxy --workers 1`, namespace `memory`, values of 100 B, metrics on, log level error"
    yield ("- Servers pinned to core 0, the client to core 1; bare and Prism in turn. Ratios are the median of the rounds' ratios, with "
           "the least and the most; all else medians\n")
    if not is_quiet(m):
        yield ("Other work was running on these cores: latency shows waiting for them more than it shows the servers, and calls/s "
               "are too low. CPU a call suffers least.\n")


def page(m):
    yield from head(m)
    yield "## Bars\n\n| what | measured | bar | |\n|---|---|---|---|"
    for row in bars(m):
        yield "| " + " | ".join(row) + " |"
    for method in ("Get", "Set"):
        yield from shape_section(m, method)
    yield from client_note(m)
    yield from open_section(m)
    yield from transport_section(m)
