"""The page and the charts that a run of bench/streamer writes: bars first, then the tables that they were taken from."""
import datetime
import statistics

from brokers import KAFKA_SHAPES, ApacheKafka, Ours, OursOnTwo
from report import first_line, machine, versions

BUSY = "not decided: the machine was busy"
SIZES = {16: "16 B", 100: "100 B", 1024: "1 KiB"}


def values(results, key, field):
    """Of each round; () where nothing was measured."""
    found = (r.get(key) for r in results)
    return [f[field] for f in found if f]


def middle(results, key, field):
    return statistics.median(values(results, key, field))


def quantile(results, key, name, part):
    return statistics.median(f[name][part] for f in (r[key] for r in results))


def millions(v):
    return f"{v / 1e6:.2f} M"


def spread(found, show, unit=""):
    return f"{show(statistics.median(found))}{unit} ({show(min(found))} to {show(max(found))})"


# --- bars --------------------------------------------------------------------------------------------------------------------

def verdict(value, bar, at_most, load, timed=True):
    """What other work can only make worse is decided where it is reached."""
    if value <= bar if at_most else value >= bar:
        return "reached"
    return BUSY if timed and load >= 1 else "**missed**"


def rate_bar(rounds, load, durability, size, bar):
    """Of one worker or of two, whichever is faster on these cores."""
    key = ("generator", "produce", durability, size)
    kind = max((k for k in (Ours, OursOnTwo) if k in rounds), key=lambda k: middle(rounds[k], key, "rate"))
    found = values(rounds[kind], key, "rate")
    return (f"{SIZES[size]} produced, batches of 100, acks 1, durability {durability}, {kind.workers} worker{'s'[:kind.workers - 1]}",
            spread(found, millions, " messages/s"),
            f"at least {bar / 1e6:.0f} M/s, generator included", verdict(statistics.median(found), bar, False, load))


def cpu_bar(ours, theirs, mode):
    """Processor time suffers least from other work."""
    key = ("librdkafka", mode, "memory", 100)
    ratios = [a / b for a, b in zip(values(theirs, key, "broker_cpu_us"), values(ours, key, "broker_cpu_us"))]
    return (f"messages a broker CPU second, {mode}d by librdkafka, 100 B", spread(ratios, lambda v: f"{v:.1f}", " × Kafka's"), "at least 5 ×",
            verdict(statistics.median(ratios), 5, False, 0))


def latency_bar(ours, theirs, client, load):
    key = (client, "latency", "memory", 100)
    ratios = [a[key]["latency_us"]["p99"] / b[key]["latency_us"]["p99"] for a, b in zip(ours, theirs)]
    gap = quantile(ours, key, "gap_us", "p99")
    return (f"end-to-end p99 at 10,000/s, by {'the generator' if client == 'generator' else client}",
            spread(ratios, lambda v: f"{v:.2f}", " × Kafka's") + f"; control p99 {gap:,.0f} µs", "at most 0.2 ×",
            verdict(statistics.median(ratios), 0.2, True, load))


def bars(rounds, load):
    ours, theirs = rounds.get(Ours), rounds.get(ApacheKafka)
    if ours:
        yield rate_bar(rounds, load, "memory", 100, 10e6)
        yield rate_bar(rounds, load, "memory", 16, 30e6)
        yield rate_bar(rounds, load, "flush", 100, 5e6)
    if ours and theirs:
        yield cpu_bar(ours, theirs, "produce")
        yield cpu_bar(ours, theirs, "consume")
        yield latency_bar(ours, theirs, "generator", load)
        yield latency_bar(ours, theirs, "librdkafka", load)
    if ours:
        idle, start = ([r[key] for r in ours] for key in ("idle_mib", "start_ms"))
        yield "resident, idle", spread(idle, lambda v: f"{v:.1f} MiB"), "under 32 MiB", verdict(max(idle), 32, True, load, False)
        yield "start to ready", spread(start, lambda v: f"{v:.0f} ms"), "under 100 ms", verdict(statistics.median(start), 100, True, load)


# --- tables ------------------------------------------------------------------------------------------------------------------

def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def rate_rows(rounds, client, mode, durability):
    for kind, results in rounds.items():
        for size, name in SIZES.items():
            key = (client, mode, durability, size)
            if values(results, key, "rate"):
                yield row(kind.title, name, spread(values(results, key, "rate"), millions),
                          f"{middle(results, key, 'broker_cpu_us') * 1000:,.0f}", f"{middle(results, key, 'client_cpu_us') * 1000:,.0f}")


def rate_table(title, rounds, client, mode, durability):
    rows = list(rate_rows(rounds, client, mode, durability))
    if rows:
        yield f"\n### {title}\n"
        yield row("broker", "message", "messages/s (least to most)", "broker CPU, ns a message", "client CPU, ns a message")
        yield "|---|---|---|---|---|"
        yield from rows


def latency_table(rounds, client):
    key = (client, "latency", "memory", 100)
    rows = {kind: results for kind, results in rounds.items() if all(key in r for r in results)}
    if not rows:
        return
    yield f"\n### By {'the generator' if client == 'generator' else client}\n"
    yield row("broker", "p50 µs", "p99 µs", "p99.9 µs", "control: p99 µs", "most µs", "broker CPU, µs a message")
    yield "|---|---|---|---|---|---|---|"
    for kind, results in rows.items():
        cells = [f"{quantile(results, key, 'latency_us', part):,.0f}" for part in ("p50", "p99", "p99_9")]
        cells += [f"{quantile(results, key, 'gap_us', part):,.0f}" for part in ("p99", "max")]
        yield row(kind.title, *cells, f"{middle(results, key, 'broker_cpu_us'):.1f}")


def memory_table(rounds):
    yield row("broker", "start to ready, ms", "resident idle, MiB", "most, MiB")
    yield "|---|---|---|---|"
    for kind, results in rounds.items():
        yield row(kind.title, *(f"{statistics.median(r[key] for r in results):,.0f}" for key in ("start_ms", "idle_mib", "peak_mib")))


def head(rounds, absent, load, count, took):
    yield "---\ntitle: Benchmarks of MemoryStreamer\ngenerated by: bench/streamer/run\n---\n"
    yield "# Benchmarks of MemoryStreamer\n"
    yield (f"Made by `make bench-streamer` on {datetime.date.today()}, {count} rounds, {took:.0f} s: MemoryStreamer beside other logs, each "
           "started alone, in turn, with an empty folder.\n")
    yield f"- Machine: {machine()}; load average before the run: {load:.1f}"
    yield f"- Versions: {versions(['gcc', '--version'])}; " + "; ".join(kind.version() for kind in rounds)
    yield ("- Generator: `bench/streamer/generator`, one thread, requests encoded once, batches of 100 messages, 2 connections, many requests in "
           "flight on each, every answer checked. To the others 2 streams, 8 requests in flight; to ours and Kafka, where a request carries a "
           "batch for each partition of its connection, three shapes are tried, and the fastest of the round counts: "
           + ", ".join(f"{p} partitions × {d} in flight" for _, p, d in KAFKA_SHAPES) + ". It shares the cores with the broker, nothing is pinned")
    yield ("- Durability memory: acknowledged when the broker has it, no fsync (Kafka's and RabbitMQ's own way; NATS syncs every 2 minutes; "
           "Redis without persistence). Durability flush: acknowledged when it is on the disk (Kafka: `flush.messages=1`)")
    yield ("- librdkafka: " + first_line("dpkg-query", "-W", "-f", "${Version}", "librdkafka-dev") + ", the same program and settings for "
           "both brokers: batches of at most 100, linger 5 ms (latency: 0), acks 1, 4 partitions (latency: 1)")
    yield "- Figures are medians of the rounds, with the least and the most; ratios are taken within a round; processor time is the kernel's"
    if absent:
        yield "- Not there, not measured: " + ", ".join(kind.title for kind in absent)
    if load >= 1:
        yield "\nOther work was running on these cores: rates and latency show it as much as they show the brokers. CPU a message suffers least."


def page(rounds, absent, load, count, took):
    yield from head(rounds, absent, load, count, took)
    found = list(bars(rounds, load))
    if found:
        yield "\n## Bars\n\n| what | measured | bar | |\n|---|---|---|---|"
        yield from (row(*bar) for bar in found)
    yield "\n## Produced\n\n![messages a second](benchmarks-streamer-produced.svg)"
    yield from rate_table("Durability memory", rounds, "generator", "produce", "memory")
    yield from rate_table("Durability flush", rounds, "generator", "produce", "flush")
    yield from rate_table("By librdkafka", rounds, "librdkafka", "produce", "memory")
    yield "\n## Consumed\n\n![messages a second](benchmarks-streamer-consumed.svg)"
    yield from rate_table("By the generator", rounds, "generator", "consume", "memory")
    yield from rate_table("By librdkafka", rounds, "librdkafka", "consume", "memory")
    yield "\n## End to end, 10,000 messages of 100 B a second\n"
    yield ("Open loop: from the time at which a message was due to its arrival at a reader, on another connection. Control: of the generator, "
           "times for which the machine was taken away from a loop that never sleeps; of librdkafka's program, how late its sender woke up. A "
           "loop that never sleeps has one core for itself: what a broker takes beyond what is left shows as waiting.\n\n"
           "![latency](benchmarks-streamer-latency.svg)")
    yield from latency_table(rounds, "generator")
    yield from latency_table(rounds, "librdkafka")
    yield "\n## Memory and start\n"
    yield from memory_table(rounds)


# --- charts ------------------------------------------------------------------------------------------------------------------

BAR_PX, GAP_PX, LEFT_PX, WIDE_PX = 18, 6, 240, 460


def chart(title, bars_):
    """Horizontal bars: (label, value, text), or None for a space between groups."""
    most = max((b[1] for b in bars_ if b), default=1) or 1
    height = 40 + len(bars_) * (BAR_PX + GAP_PX)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT_PX + WIDE_PX + 130} {height}" font-family="sans-serif" '
             f'font-size="13"><rect width="100%" height="100%" fill="#fff"/><text x="8" y="20" font-weight="bold">{title}</text>']
    for i, bar in enumerate(bars_):
        if not bar:
            continue
        y, wide = 34 + i * (BAR_PX + GAP_PX), WIDE_PX * bar[1] / most
        fill = "#2563eb" if bar[0].startswith(Ours.title) else "#9ca3af"
        lines.append(f'<text x="{LEFT_PX - 8}" y="{y + 14}" text-anchor="end">{bar[0]}</text><rect x="{LEFT_PX}" y="{y}" width="{wide:.1f}" '
                     f'height="{BAR_PX}" fill="{fill}"/><text x="{LEFT_PX + wide + 6:.1f}" y="{y + 14}">{bar[2]}</text>')
    return "\n".join(lines) + "\n</svg>\n"


def rate_chart(rounds, mode):
    bars_ = []
    for size, name in SIZES.items():
        key = ("generator", mode, "memory", size)
        found = [(kind, middle(results, key, "rate")) for kind, results in rounds.items() if values(results, key, "rate")]
        bars_ += [(f"{kind.title}, {name}", rate, millions(rate)) for kind, rate in found] + [None]
    return chart(f"Messages {mode}d a second, by the generator, durability memory", bars_[:-1])


def latency_chart(rounds):
    key, bars_ = ("generator", "latency", "memory", 100), []
    for part, name in (("p50", "p50"), ("p99", "p99")):
        found = [(kind, quantile(results, key, "latency_us", part)) for kind, results in rounds.items() if key in results[0]]
        bars_ += [(f"{kind.title}, {name}", us, f"{us:,.0f} µs") for kind, us in found] + [None]
    return chart("End to end at 10,000 messages a second, by the generator", bars_[:-1])


def charts(rounds):
    """{file: SVG}"""
    return {"benchmarks-streamer-produced.svg": rate_chart(rounds, "produce"),
            "benchmarks-streamer-consumed.svg": rate_chart(rounds, "consume"), "benchmarks-streamer-latency.svg": latency_chart(rounds)}
