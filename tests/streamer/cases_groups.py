"""Groups of consumers with real processes: many members that come, go and vanish (case 56), and a broker that is killed."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

from cases import case
from servers.memorystreamer import MemoryStreamer

from confluent_kafka.admin import AdminClient, NewTopic

HERE = os.path.dirname(os.path.abspath(__file__))
PARTITIONS = 60


class Members:
    """A process with members of the group; what each has, as it says."""

    def __init__(self, server, count):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "member.py"), server.address, "crowd", "work", str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.count, self.has, self.changes = count, {}, {}
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            self.has[said["member"]], self.changes[said["member"]] = said["has"], said["changes"]

    def vanish(self):
        self.process.kill()
        self.process.wait()

    def leave(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def __exit__(self, *_):
        self.vanish()

    def __enter__(self):
        return self


def new_topic(server):
    admin = AdminClient({"bootstrap.servers": server.address})
    admin.create_topics([NewTopic("work", PARTITIONS, 1)])["work"].result()


def each_is_owned_once(groups, patience_s=60):
    """Until every partition has one owner among all members, and every member has some."""
    end = time.monotonic() + patience_s
    while True:
        has = [list(h) for g in groups for h in list(g.has.values())]
        owned = sorted(p for h in has for p in h)
        if owned == list(range(PARTITIONS)) and sum(1 for h in has if h) == sum(g.count for g in groups):
            return
        assert time.monotonic() < end, "%d members have %s" % (len(has), has)
        time.sleep(0.05)


@case
def fifty_members_join_leave_and_vanish():
    with MemoryStreamer() as server:
        new_topic(server)
        with Members(server, 20) as first, Members(server, 15) as second, Members(server, 15) as third:
            each_is_owned_once([first, second, third])
            second.vanish()
            each_is_owned_once([first, third])
            with Members(server, 10) as fourth:
                each_is_owned_once([first, third, fourth])
                third.leave()
                each_is_owned_once([first, fourth])


@case
def members_go_on_when_the_broker_is_killed():
    with MemoryStreamer() as server:
        new_topic(server)
        with Members(server, 6) as members:
            each_is_owned_once([members])
            before = dict(members.changes)
            for _ in range(3):
                server.stop(signal.SIGKILL)
                server.start()
                time.sleep(2)  # heartbeats are 500 ms apart: members that are not known any more would have joined again
            each_is_owned_once([members])
            assert members.changes == before, (before, members.changes)
