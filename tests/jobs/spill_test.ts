import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { concatBytes } from "../../lib/bytes.ts";
import { SystemError } from "../../lib/errors.ts";
import { type OutputBlock, Spill } from "../../lib/jobs/spill.ts";
import { inDirectorySync } from "../helpers.ts";

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.constant("append" as const), fc.nat(3), fc.uint8Array({ maxLength: 20 })),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant("clear" as const), fc.nat(3), fc.constant(new Uint8Array())) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("read" as const), fc.nat(3), fc.constant(new Uint8Array())) },
);

function contents(block: OutputBlock): Uint8Array {
  return concatBytes([...block.parts()]);
}

Deno.test("Spill gives each block back what was appended to it, mixed, cleared and used again", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), fc.constantFrom(0, 10, 64), (commands, memoryBytes) => {
      using spill = new Spill({ memoryBytes });
      const blocks = [0, 1, 2, 3].map(() => spill.block());
      const model: Uint8Array[][] = blocks.map(() => []);
      const check = (index: number) => {
        const expected = concatBytes(model[index]!);
        assertEquals(contents(blocks[index]!), expected);
        assertEquals(blocks[index]!.sizeBytes, expected.length);
      };
      for (const [name, index, bytes] of commands) {
        if (name === "append") {
          blocks[index]!.append(bytes);
          model[index]!.push(bytes);
        } else if (name === "clear") {
          blocks[index]!.clear();
          model[index] = [];
        } else check(index);
      }
      for (const index of blocks.keys()) check(index);
      // Cleared, all memory is free again: a piece of that size stays in memory, as the array that it is.
      for (const block of blocks) block.clear();
      const whole = new Uint8Array(memoryBytes).fill(7);
      blocks[0]!.append(whole);
      if (memoryBytes > 0) assert([...blocks[0]!.parts()][0] === whole);
    }),
    { numRuns: 500 },
  );
});

Deno.test("Spill keeps a block beyond one MiB in the file, in parts", () => {
  using spill = new Spill();
  const block = spill.block();
  const pieces = Array.from({ length: 30 }, (_, index) => new Uint8Array(100_003).fill(index));
  for (const piece of pieces) block.append(piece);
  const parts = [...block.parts()];
  assert(parts.some((part, index) => part !== pieces[index]));
  assert(parts.every((part) => part.length <= 100_003));
  assertEquals(concatBytes(parts), concatBytes(pieces));
  assertEquals(concatBytes([...block.parts()]).length, 30 * 100_003);
});

Deno.test({
  name: "Spill leaves no file behind, not even while it is used",
  ignore: Deno.build.os === "windows",
  fn() {
    inDirectorySync((directory) => {
      const before = Deno.env.get("TMPDIR");
      Deno.env.set("TMPDIR", directory);
      try {
        using spill = new Spill({ memoryBytes: 0 });
        const block = spill.block();
        block.append(new Uint8Array([1]));
        assertEquals([...Deno.readDirSync(directory)], []);
        assertEquals(contents(block), new Uint8Array([1]));
      } finally {
        if (before === undefined) Deno.env.delete("TMPDIR");
        else Deno.env.set("TMPDIR", before);
      }
    });
  },
});

Deno.test("Spill says where it cannot keep output, and keeps what it has", () => {
  const before = Deno.env.get("TMPDIR");
  Deno.env.set("TMPDIR", "/does/not/exist");
  try {
    using spill = new Spill({ memoryBytes: 2 });
    const block = spill.block();
    block.append(new Uint8Array([1, 2]));
    assertThrows(
      () => block.append(new Uint8Array([3])),
      SystemError,
      "cannot keep output in a temporary file",
    );
    assertEquals(contents(block), new Uint8Array([1, 2]));
  } finally {
    if (before === undefined) Deno.env.delete("TMPDIR");
    else Deno.env.set("TMPDIR", before);
  }
});
