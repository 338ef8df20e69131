/**
 * What becomes of each datagram, against a model, on a clock that the test turns.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type FaultOptions, Faults } from "../../../lib/net/udp_echo/faults.ts";
import { makeCounts, readCounts, type UdpEchoStatistics } from "../../../lib/net/udp_echo/counts.ts";
import { type Datagrams, Replies, type UdpNotice } from "../../../lib/net/udp_echo/replies.ts";

const SERVER_PORT = 9_000;
const OVERTAKE_LIMIT_MS = 50;

interface Arrival {
  sender: number;
  atMs: number;
  sizeBytes: number;
}

/** A reply, by the number of its datagram. */
interface Sent {
  number: number;
  atMs: number;
}

/** Datagrams that are numbers. */
class Numbers implements Datagrams<number> {
  readonly sent: Sent[] = [];
  readonly #arrivals: readonly Arrival[];
  nowMs = 0;

  constructor(arrivals: readonly Arrival[]) {
    this.#arrivals = arrivals;
  }

  sizeBytes = (slot: number) => this.#arrivals[slot]!.sizeBytes;
  bytes = () => new Uint8Array();
  port = (slot: number) => this.#arrivals[slot]!.sender;
  sender = (slot: number) => `127.0.0.1:${this.#arrivals[slot]!.sender}`;
  keep = (slot: number) => slot;
  reply = (number: number) => void this.sent.push({ number, atMs: this.nowMs });
  replyKept = this.reply;
}

/** Has all arrive, and what is held back sent when it is due. */
function answer(
  arrivals: readonly Arrival[],
  { faults, bufferBytes = 65_535 }: { faults?: FaultOptions; bufferBytes?: number } = {},
): { sent: Sent[]; counted: UdpEchoStatistics; notices: UdpNotice[] } {
  const datagrams = new Numbers(arrivals);
  const counts = makeCounts();
  const notices: UdpNotice[] = [];
  const notice = (notice: UdpNotice) => void notices.push(notice);
  const options = { transform: "none", port: SERVER_PORT, faults, bufferBytes, counts, notice } as const;
  const replies = new Replies(datagrams, options);
  const turnTo = (ms: number) => {
    for (; replies.nextDueMs <= ms; replies.release(datagrams.nowMs)) datagrams.nowMs = replies.nextDueMs;
    datagrams.nowMs = ms;
  };
  for (const [number, { atMs }] of arrivals.entries()) {
    turnTo(atMs);
    replies.take(number, atMs);
  }
  turnTo(1e9);
  assertEquals(replies.nextDueMs, Infinity);
  return { sent: datagrams.sent, counted: readCounts(counts), notices };
}

const percent = fc.constantFrom(0, 10, 50, 100);
const options: fc.Arbitrary<FaultOptions> = fc.record({
  dropPercent: percent,
  duplicatePercent: percent,
  reorderPercent: percent,
  delay: fc.constantFrom(undefined, { minMs: 20, maxMs: 20 }, { minMs: 5, maxMs: 80 }),
  seed: fc.nat(),
});
const arrivals = fc.array(
  fc.record({ sender: fc.integer({ min: 1_001, max: 1_003 }), gapMs: fc.nat({ max: 30 }) }),
  {
    maxLength: 60,
  },
).map((gaps) => {
  let atMs = 0;
  return gaps.map(({ sender, gapMs }) => ({ sender, atMs: atMs += gapMs, sizeBytes: 10 }));
});

function fatesOf(arrivals: readonly Arrival[], options: FaultOptions) {
  const faults = new Faults(options);
  return arrivals.map(() => ({ ...faults.next() }));
}

Deno.test("Replies: each datagram is answered as often as its fate says, and none is invented", () => {
  fc.assert(fc.property(arrivals, options, (arrivals, faults) => {
    const { sent, counted } = answer(arrivals, { faults });
    for (const [number, { isDropped, isDuplicated }] of fatesOf(arrivals, faults).entries()) {
      const copies = sent.filter((reply) => reply.number === number).length;
      assertEquals(copies, isDropped ? 0 : isDuplicated ? 2 : 1);
    }
    const { datagramsIn, ignored, dropped, overflowed, duplicated } = counted;
    assertEquals([datagramsIn, ignored, overflowed], [arrivals.length, 0, 0]);
    assertEquals(sent.length, datagramsIn - dropped + duplicated);
  }));
});

Deno.test("Replies: none goes before it is due, and none is held back for longer than it takes to give up being overtaken", () => {
  fc.assert(fc.property(arrivals, options, (arrivals, faults) => {
    const fates = fatesOf(arrivals, faults);
    for (const { number, atMs } of answer(arrivals, { faults }).sent) {
      const { isReordered, delayMs } = fates[number]!;
      const dueMs = arrivals[number]!.atMs + delayMs;
      assert(atMs >= dueMs && atMs <= dueMs + (isReordered ? OVERTAKE_LIMIT_MS : 0), `${number}: ${atMs}`);
      if (!isReordered) assertEquals(atMs, dueMs);
    }
  }));
});

Deno.test("Replies: without reordering, those that are equally late go in the order in which they came", () => {
  fc.assert(fc.property(arrivals, options, (arrivals, options) => {
    const faults = { ...options, reorderPercent: 0, delay: { minMs: 20, maxMs: 20 } };
    const numbers = answer(arrivals, { faults }).sent.map(({ number }) => number);
    assertEquals(numbers, numbers.toSorted((a, b) => a - b));
  }));
});

Deno.test("Replies: a reordered one goes right after the next one to the same sender", () => {
  fc.assert(fc.property(arrivals, fc.nat(), (arrivals, seed) => {
    const faults = { reorderPercent: 30, seed };
    const fates = fatesOf(arrivals, faults);
    const expected: Sent[] = [];
    const waiting: Sent[] = [];
    const give = (isDue: (each: Sent) => boolean, atMs: (each: Sent) => number) => {
      for (const each of waiting.filter(isDue)) {
        waiting.splice(waiting.indexOf(each), 1);
        expected.push({ number: each.number, atMs: atMs(each) });
      }
    };
    let reordered = 0;
    for (
      const [number, { sender, atMs }] of [...arrivals.entries(), [-1, { sender: 0, atMs: 1e9 }] as const]
    ) {
      give((each) => each.atMs + OVERTAKE_LIMIT_MS <= atMs, (each) => each.atMs + OVERTAKE_LIMIT_MS);
      if (number < 0) break;
      if (fates[number]!.isReordered) {
        waiting.push({ number, atMs });
        continue;
      }
      expected.push({ number, atMs });
      const before = waiting.length;
      give((each) => arrivals[each.number]!.sender === sender, () => atMs);
      reordered += before - waiting.length;
    }
    const { sent, counted } = answer(arrivals, { faults });
    assertEquals(sent, expected);
    const held = fates.filter(({ isReordered }) => isReordered).length;
    assertEquals([counted.reordered, counted.delayed], [reordered, held - reordered]);
  }));
});

Deno.test("Replies: nothing is answered to the ports of services that answer, or to the server's own, and it is told once", () => {
  const from = (sender: number) => ({ sender, atMs: 0, sizeBytes: 10 });
  const { sent, counted, notices } = answer([7, 17, 19, SERVER_PORT, 7, 8, 9_001].map(from));
  assertEquals(sent.map(({ number }) => number), [5, 6]);
  assertEquals([counted.ignored, counted.datagramsIn], [5, 7]);
  assertEquals(notices, [{ kind: "ignored", from: "127.0.0.1:7", sizeBytes: 10 }]);
});

Deno.test("Replies: what is longer than the buffer is counted, with what is lost of it, and told once", () => {
  const sizes = [0, 8, 9, 100].map((sizeBytes) => ({ sender: 1_001, atMs: 0, sizeBytes }));
  const { sent, counted, notices } = answer(sizes, { bufferBytes: 8 });
  assertEquals(sent.length, 4);
  assertEquals([counted.truncated, counted.truncatedBytes, counted.bytesIn], [2, 93, 24]);
  assertEquals(notices, [{ kind: "truncated", from: "127.0.0.1:1001", sizeBytes: 9 }]);
});

Deno.test("Replies: what there is no room to hold back is lost, and counted", () => {
  const sizeBytes = 2 ** 20;
  const many = Array.from({ length: 70 }, () => ({ sender: 1_001, atMs: 0, sizeBytes }));
  const { sent, counted } = answer(many, {
    faults: { delay: { minMs: 1, maxMs: 1 }, duplicatePercent: 100, seed: 1 },
  });
  assertEquals([counted.overflowed, counted.duplicated, sent.length], [7, 63, 126]);
});
