import { assertEquals, assertMatch } from "@std/assert";
import { conc } from "../cli/conc.ts";
import { brokerTest } from "./broker.ts";

/** Plays a lock demo at the cluster reach. */
function play(url: string, ...args: string[]) {
  return conc(["lock-demo", "--reach", "cluster", ...args], { env: { CONC_STORE: url } });
}

brokerTest("lock-demo --reach cluster sells each ticket once", async (url) => {
  const { code, stdout, stderr } = await play(url, "--buyers", "4", "--tickets", "2", "--delay", "1ms..5ms");
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /2 of 2 tickets sold to 4 buyers, 0 left\n$/);
});

brokerTest("lock-demo --reach cluster finds, names and breaks a deadlock", async (url) => {
  const { code, stdout, stderr } = await play(url, "--scenario", "deadlock", "--timeout", "20s", "--json");
  assertEquals(code, 0, stderr);
  const summary = JSON.parse(stdout.trim().split("\n").at(-1)!);
  assertEquals([summary.reach, summary.deadlock.length], ["cluster", 2]);
});

brokerTest("two plays of lock-demo at one broker do not disturb each other", async (url) => {
  const plays = [0, 1].map(() => play(url, "--scenario", "deadlock", "--timeout", "20s", "--json"));
  for (const { code, stderr } of await Promise.all(plays)) assertEquals(code, 0, stderr);
});

brokerTest("lock-demo --reach cluster has no rlock, and shows that a lock is not reentrant", async (url) => {
  const refused = await play(url, "--scenario", "reentrant");
  assertEquals(refused.code, 2, refused.stderr);
  assertMatch(
    refused.stderr,
    /^conc: there is no RLock at the cluster reach: --lock lock, or another --reach\n/,
  );
  const { code, stderr } = await play(url, "--scenario", "reentrant", "--lock", "lock", "--timeout", "300ms");
  assertEquals(code, 1);
  assertMatch(stderr, /the lock is not reentrant/);
});
