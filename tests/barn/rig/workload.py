"""barn_workload and barn_ask from Python: load whose answers are checked, and single questions."""
import json
import os
import signal
import subprocess
import threading

from cluster import check, die_with_rig


class Workload:
    """Load on a cluster from `with` on; its verdict by stop()."""

    def __init__(self, program, folder, *flags, cluster=None, ready=True, enter=None):
        self.history = os.path.join(folder, "history.txt")
        self._log = os.path.join(folder, "workload.log")
        target = ["--cluster", cluster.client] if cluster else []
        words = [os.path.abspath(program), *target, "--history", self.history, *map(str, flags)]

        def prepare():
            die_with_rig()
            if enter:
                enter()

        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=prepare)
        self.verdict = None
        if ready:
            self.wait_until_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def wait_until_ready(self, seconds=60):
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        check(line.strip() == "ready", f"no write of the workload was accepted: {self.log()}")

    def log(self):
        with open(self._log, errors="replace") as file:
            return file.read()[-4000:]

    def stop(self, seconds=900):
        """Ends it; what it found, as a dictionary."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds):
        try:
            out, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the workload has not ended within {seconds} s: {self.log()}") from None
        check(self.process.returncode in (0, 1, 2), f"the workload ended with {self.process.returncode}: {self.log()}")
        self.verdict = json.loads(out.strip().splitlines()[-1])
        return self.verdict

    def stop_clean(self, *kinds):
        """Ends it, and fails if anything was wrong, could not be checked, or if one of `kinds` did not do anything."""
        found = self.stop()
        check(found["verdict"] == "clean", f"{found['verdict']}: {found['texts'] or self.log()}\n{self.kept()}")
        for kind in kinds:
            check(found["kinds"].get(kind, {}).get("done", 0) > 0, f"{kind} did nothing: {found}")
        return found

    def kept(self):
        return f"history: {self.history} (RUNINK_KEEP=1 keeps it)"


def summary(found):
    return (f"{found['done']} answered, {found['refused']} refused, {found['unknown']} unknown, {found['repeated']} repeated, "
            f"longest time without an acknowledged write {found['longest_gap_s']:.2f} s")


class Asker:
    """One question at a time, by a process of its own each."""

    def __init__(self, workload_program, cluster):
        self._program = os.path.join(os.path.dirname(os.path.abspath(workload_program)), "barn_ask")
        self._cluster = cluster

    def ask(self, *words, at=None, seconds=5):
        """The answer as a dictionary; its "code" is "OK" if it is one. `at`: the member that is asked first."""
        done = subprocess.run([self._program, self._cluster.client, at.api if at else "", str(seconds), *map(str, words)],
                              capture_output=True, text=True, preexec_fn=die_with_rig, timeout=seconds + 30)
        check(done.stdout, f"barn_ask ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def must(self, *words, at=None, seconds=20):
        answer = self.ask(*words, at=at, seconds=seconds)
        check(answer["code"] == "OK", f"{words}: {answer}")
        return answer

    def get(self, key, **how):
        return self.must("get", key, **how)["value"]

    def put(self, key, value, **how):
        return self.must("put", key, value, **how)["index"]
