"""What the pages of the benchmarks have in common: the machine, versions, processor time of processes, verdicts."""
import os
import platform
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    gib = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1)) / (1 << 20)
    return f"{os.cpu_count()} × {model.group(1) if model else platform.machine()}, {gib:.0f} GiB, Linux {platform.release()}"


def first_line(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")[0]


def versions(*commands):
    """Of Prism and its commit, and the first line of each further command."""
    own = f"{first_line(BUILD / 'prism-proxy', '--version')}, commit {first_line('git', 'rev-parse', '--short', 'HEAD')}"
    return "; ".join([own] + [first_line(*c) for c in commands])


def processes_below(pid):
    """The process and all its descendants."""
    found = [pid]
    for p in found:
        try:
            for task in Path(f"/proc/{p}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def reaped_ns(pid):
    """Of children that have ended, in steps of the kernel's clock tick (10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def threads_ns(pid):
    """Of a process's threads; what ends meanwhile, a thread or all of it, is reaped, and counted there."""
    total = 0
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for thread in threads:
        try:
            total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def cpu_ns(pid, with_children=False):
    """Processor time by the kernel's own accounting, with that of all children where asked for."""
    total = reaped_ns(pid) if with_children else 0
    for p in processes_below(pid) if with_children else [pid]:
        total += threads_ns(p)
    return total


def verdict(value, bar, at_most=True):
    return "reached" if (value <= bar if at_most else value >= bar) else "**missed**"


def load_average():
    return os.getloadavg()[0]
