import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Messages } from "../../../lib/net/bench/message.ts";
import { Tally } from "../../../lib/net/bench/tally.ts";
import { DatagramFlow } from "../../../lib/net/bench/datagram_flow.ts";
import { Histogram } from "../../../lib/net/bench/histogram.ts";

const SHAPE = { sizeBytes: 32, transform: "none" } as const;
const makeHistogram = await Histogram.load();

function flowing({ window = 8, timeoutMs = 100 } = {}) {
  const tally = new Tally(SHAPE.sizeBytes, makeHistogram);
  tally.start(0);
  const flow = new DatagramFlow(new Messages(SHAPE, 0), { tally, timeoutMs, window });
  const sent: Uint8Array<ArrayBuffer>[] = [];
  return {
    flow,
    send: (nowMs = 0) => sent.push(flow.next(nowMs, nowMs).slice()),
    take: (number: number, nowMs = 0) => flow.take(sent[number - 1]!, SHAPE.sizeBytes, nowMs),
    takeBytes: (bytes: Uint8Array<ArrayBuffer>) => flow.take(bytes, bytes.length, 0),
    sent,
    counts() {
      const { messages, lost, duplicated, reordered, late, corrupt, requests } = tally.summary({
        endMs: 0,
        unsent: 0,
      });
      return { messages, lost, duplicated, reordered, late, corrupt, requests };
    },
  };
}

const NOTHING = { messages: 0, lost: 0, duplicated: 0, reordered: 0, late: 0, corrupt: 0, requests: 0 };

Deno.test("DatagramFlow tells duplicates, reordering, loss and late replies apart", () => {
  const { flow, send, take, counts } = flowing();
  for (let i = 0; i < 4; i++) send();
  for (const number of [2, 1, 1, 4]) take(number);
  assertEquals(counts(), { ...NOTHING, messages: 3, requests: 3, duplicated: 1, reordered: 1 });
  flow.expire(99);
  assertEquals(flow.isWaiting, true);
  flow.expire(100);
  assertEquals([flow.isWaiting, counts().lost], [false, 1]);
  take(3);
  take(3);
  assertEquals(counts(), {
    messages: 3,
    requests: 4,
    lost: 1,
    late: 1,
    duplicated: 2,
    reordered: 1,
    corrupt: 0,
  });
});

Deno.test("DatagramFlow lets another go in the place of one that three overtook, and still takes its reply", () => {
  const { flow, send, take, counts } = flowing({ window: 2 });
  send();
  send();
  assertEquals(flow.hasRoom, false);
  for (let number = 2; number <= 4; number++) {
    take(number);
    assertEquals(flow.hasRoom, true);
    send();
  }
  assertEquals([flow.hasRoom, flow.isWaiting], [true, true]);
  take(1);
  assertEquals(counts(), { ...NOTHING, messages: 4, requests: 4, reordered: 1 });
});

Deno.test("DatagramFlow takes what is wrong for the answer to the request that it names, else to the oldest", () => {
  const { flow, send, take, takeBytes, sent, counts } = flowing();
  for (let i = 0; i < 3; i++) send();
  takeBytes(sent[1]!.slice(0, 20));
  takeBytes(new Uint8Array(32));
  take(3);
  assertEquals(flow.isWaiting, false);
  assertEquals(counts(), { ...NOTHING, messages: 1, corrupt: 2, requests: 3 });
});

Deno.test("DatagramFlow counts every request once, whatever the network does", () => {
  const fate = fc.record({
    isLost: fc.boolean(),
    isDoubled: fc.boolean(),
    delay: fc.nat(6),
  });
  fc.assert(fc.property(fc.array(fate, { maxLength: 60 }), (fates) => {
    const { flow, send, take, counts } = flowing({ window: 60 });
    const arrivals = fates.flatMap(({ isLost, isDoubled, delay }, index) => {
      if (isLost) return [];
      const arrival = { number: index + 1, at: index + delay };
      return isDoubled ? [arrival, { ...arrival }] : [arrival];
    }).sort((a, b) => a.at - b.at);
    fates.forEach(() => send());
    let highest = 0;
    let reordered = 0;
    const seen = new Set<number>();
    for (const { number } of arrivals) {
      take(number);
      if (!seen.has(number) && number < highest) reordered += 1;
      highest = Math.max(highest, number);
      seen.add(number);
    }
    flow.expire(100);
    const lost = fates.filter(({ isLost }) => isLost).length;
    assertEquals(counts(), {
      messages: fates.length - lost,
      lost,
      duplicated: arrivals.length - seen.size,
      reordered,
      late: 0,
      corrupt: 0,
      requests: fates.length,
    });
  }));
});
