import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Messages } from "../../../lib/net/bench/message.ts";
import { transform, TRANSFORMS } from "../../../lib/net/transform.ts";

const shapes = fc.record({
  sizeBytes: fc.integer({ min: 1, max: 300 }),
  transform: fc.constantFrom(...TRANSFORMS),
});

Deno.test("Messages take the right reply to each of the last messages that can be told apart, at any place in memory", () => {
  fc.assert(fc.property(shapes, fc.nat(99_999), fc.nat(20), fc.nat(3), (shape, connection, count, offset) => {
    const messages = new Messages(shape, connection);
    const replies: Uint8Array<ArrayBuffer>[] = [];
    for (let i = 0; i <= count; i++) {
      const reply = new Uint8Array(new ArrayBuffer(shape.sizeBytes + offset), offset);
      reply.set(transform(messages.next().slice(), shape.transform));
      replies.push(reply);
    }
    for (const [index, reply] of replies.slice(-messages.numbers).entries()) {
      const number = Math.max(0, replies.length - messages.numbers) + index + 1;
      assertEquals(messages.check(reply, reply.length), number);
    }
  }));
});

Deno.test("Messages take no reply with any byte changed, cut short, longer, or of another connection", () => {
  fc.assert(fc.property(shapes, fc.nat(10_000), fc.integer({ min: 1, max: 255 }), (shape, place, change) => {
    const messages = new Messages(shape, 7);
    const reply = new Uint8Array(shape.sizeBytes + 1);
    reply.set(transform(messages.next().slice(), shape.transform));
    const { sizeBytes } = shape;
    assertEquals(messages.check(reply, sizeBytes), 1);
    assertEquals([messages.check(reply, sizeBytes - 1), messages.check(reply, sizeBytes + 1)], [0, 0]);
    const wrong = reply.slice();
    wrong[place % sizeBytes]! ^= change;
    assertEquals(messages.check(wrong, sizeBytes), 0);
    if (sizeBytes > 20) {
      const other = new Messages(shape, 8);
      other.next();
      assertEquals(other.check(reply, sizeBytes), 0);
    }
  }));
});

Deno.test("Messages are lines that a server may transform without changing their length", () => {
  fc.assert(fc.property(shapes, (shape) => {
    const message = new Messages(shape, 3).next();
    assertEquals([message.length, message.at(-1)], [shape.sizeBytes, 10]);
    if (shape.transform !== "none") assertEquals(message.indexOf(10), shape.sizeBytes - 1);
  }));
});

Deno.test("Messages count on when their digits overflow", () => {
  const messages = new Messages({ sizeBytes: 3, transform: "none" }, 0);
  for (let i = 0; i < 250; i++) {
    const message = messages.next();
    assertEquals(messages.check(message.slice(), 3), i + 1);
  }
  assert(messages.numbers === 100);
});

Deno.test("Messages take no long reply of which two blocks have changed places", () => {
  for (const blockBytes of [2 ** 12, 2 ** 16, 2 ** 18]) {
    const messages = new Messages({ sizeBytes: 2 ** 20, transform: "none" }, 0);
    const reply = messages.next().slice();
    const [one, other] = [reply.slice(blockBytes, 2 * blockBytes), reply.slice(-2 * blockBytes, -blockBytes)];
    assertEquals(messages.check(reply, reply.length), 1);
    reply.set(other, blockBytes);
    reply.set(one, reply.length - 2 * blockBytes);
    assertEquals(messages.check(reply, reply.length), 0);
  }
});
