import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { SystemError } from "../../lib/errors.ts";
import { Arena, ARENA_WORDS, makeArena } from "../../lib/thread/arena.ts";
import { Heap, HEAP_WORDS, makeHeap } from "../../lib/thread/heap.ts";

function makeSubject(maxBytes = 2 ** 20): { arena: Arena; heap: Heap; buffer: SharedArrayBuffer } {
  const words = new Int32Array(ARENA_WORDS + HEAP_WORDS);
  const buffer = makeArena(maxBytes);
  const arena = new Arena({ words, at: 0, buffer });
  const heap = new Heap({ words, at: ARENA_WORDS, buffer: makeHeap(), numbers: arena.numbers });
  return { arena, heap, buffer };
}

Deno.test("Arena keeps the bytes of every block, whatever is taken and given", () => {
  fc.assert(fc.property(
    fc.array(fc.oneof(
      fc.record({ take: fc.uint8Array({ maxLength: 300 }) }),
      fc.record({ give: fc.nat() }),
    )),
    (steps) => {
      const { arena } = makeSubject();
      const model: { block: number; bytes: Uint8Array }[] = [];
      for (const step of steps) {
        if ("take" in step) model.push({ block: arena.take(step.take), bytes: step.take });
        else if (model.length > 0) arena.give(model.splice(step.give % model.length, 1)[0]!.block);
        for (const { block, bytes } of model) assertEquals(arena.read(block), bytes);
      }
      assertEquals(new Set(model.map(({ block }) => block)).size, model.length);
    },
  ));
});

Deno.test("Arena uses again what was given back, and grows only as it must", () => {
  const { arena, buffer } = makeSubject();
  for (let round = 0; round < 1_000; round++) arena.give(arena.take(new Uint8Array(1_000)));
  assertEquals(buffer.byteLength, 4_096);
  const blocks = Array.from({ length: 100 }, () => arena.take(new Uint8Array(1_000)));
  assertEquals(new Set(blocks).size, 100);
});

Deno.test("Arena says when it is full, and goes on with what is given back", () => {
  const { arena } = makeSubject(4_096);
  const blocks: number[] = [];
  const error = assertThrows(() => {
    for (;;) blocks.push(arena.take(new Uint8Array(500)));
  }, SystemError);
  assertEquals(error.message.includes("4096"), true);
  arena.give(blocks[0]!);
  assertEquals(arena.take(Uint8Array.of(1)) > 0, true);
});

Deno.test("Heap hands out blocks by their two numbers, whatever is pushed and popped", () => {
  fc.assert(fc.property(
    fc.array(
      fc.oneof({ weight: 3, arbitrary: fc.integer({ min: -5, max: 5 }) }, {
        weight: 2,
        arbitrary: fc.constant("pop"),
      }),
    ),
    (steps) => {
      const { arena, heap } = makeSubject();
      const model: { block: number; rank: number; order: number }[] = [];
      const pop = () => {
        const first = model.toSorted((a, b) => a.rank - b.rank || a.order - b.order)[0]!;
        model.splice(model.indexOf(first), 1);
        assertEquals(heap.pop(), first.block);
      };
      for (const [order, step] of steps.entries()) {
        if (step === "pop") {
          if (model.length > 0) pop();
          continue;
        }
        const block = arena.take(new Uint8Array());
        arena.numbers[block + 1] = step as number;
        arena.numbers[block + 2] = order;
        heap.reserve(heap.size + 1);
        heap.push(block);
        model.push({ block, rank: step as number, order });
        assertEquals(heap.size, model.length);
      }
      while (model.length > 0) pop();
    },
  ));
});
