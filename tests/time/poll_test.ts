import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Look, poll, type Probe } from "../../lib/time/poll.ts";

/** Looks that find what is given, and the last of it for ever. */
function finding(...found: boolean[]): Probe {
  let at = 0;
  return () => {
    const holds = found[Math.min(at++, found.length - 1)]!;
    return Promise.resolve({ holds, seen: `look ${at}` });
  };
}

Deno.test("poll() looks until it holds, or with wanted false until it does not", async () => {
  const looks: [Look, number][] = [];
  const looked = (look: Look, attempt: number) => void looks.push([look, attempt]);
  const found = await poll(finding(false, false, true), { intervalMs: 0, looked });
  assertEquals(found, { holds: true, seen: "look 3" });
  assertEquals(looks.map(([{ seen }, attempt]) => [seen, attempt]), [["look 1", 1], ["look 2", 2], [
    "look 3",
    3,
  ]]);
  assertEquals((await poll(finding(true, false), { wanted: false, intervalMs: 0 })).seen, "look 2");
});

Deno.test("poll() gives up after so many attempts, and never rests behind the last", async () => {
  let rests = 0;
  const rest = () => Promise.resolve(void rests++);
  assertEquals(await poll(finding(false), { attempts: 3, rest }), { holds: false, seen: "look 3" });
  assertEquals(rests, 2);
});

Deno.test("poll() lets one look end before the next begins, and aborts one that takes too long", async () => {
  let running = 0;
  let most = 0;
  const slow: Probe = async (signal) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    running -= 1;
    signal.throwIfAborted();
    return { holds: true, seen: "never" };
  };
  const found = await poll(slow, { intervalMs: 0, limitMs: 5, attempts: 3 });
  assertEquals(found, { holds: false, seen: "no answer within 5ms" });
  assertEquals([running, most], [0, 1]);
});

Deno.test("poll() rejects with the reason of its signal, in a look and between two", async () => {
  const looking = new AbortController();
  const hangs: Probe = (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(new Error("mine")), { once: true });
      looking.abort(new Error("enough"));
    });
  await assertRejects(() => poll(hangs, { signal: looking.signal }), Error, "enough");
  const resting = new AbortController();
  const looked = () => resting.abort(new Error("enough"));
  await assertRejects(
    () => poll(finding(false), { intervalMs: 60_000, signal: resting.signal, looked }),
    Error,
    "enough",
  );
  let looks = 0;
  const count: Probe = () => Promise.resolve({ holds: true, seen: String(++looks) });
  await assertRejects(() => poll(count, { signal: resting.signal }), Error, "enough");
  assertEquals(looks, 0);
});

Deno.test("poll() passes on what a probe throws", async () => {
  const error = await assertRejects(() => poll(() => Promise.reject(new Error("broken"))), Error, "broken");
  assert(!(error instanceof RangeError));
});
