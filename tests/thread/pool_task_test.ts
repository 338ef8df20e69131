import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { PoolBacklog, ThreadTask } from "../../lib/thread/pool_task.ts";

function task(input: number, { isMoved = false }: { isMoved?: boolean } = {}): ThreadTask {
  const made = new ThreadTask(input, { resolve: () => {}, reject: () => {} });
  if (isMoved) made.transfer = [];
  return made;
}

function inputs(tasks: readonly ThreadTask[]): unknown[] {
  return tasks.map(({ input }) => input);
}

Deno.test("PoolBacklog behaves as an array does, whatever is pushed, put back, deleted and taken", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), isMoved: fc.boolean() }),
    fc.record({ kind: fc.constant("putBack" as const), count: fc.nat(3) }),
    fc.record({ kind: fc.constant("delete" as const), index: fc.nat() }),
    fc.record({ kind: fc.constant("take" as const), limit: fc.nat(4), alone: fc.boolean() }),
  );
  fc.assert(fc.property(fc.array(step), (program) => {
    const backlog = new PoolBacklog();
    const model: ThreadTask[] = [];
    let made = 0;
    for (const step of program) {
      if (step.kind === "push") {
        const one = task(made++, step);
        backlog.push(one);
        model.push(one);
      } else if (step.kind === "putBack") {
        const some = Array.from({ length: step.count }, () => task(made++));
        backlog.putBack(some);
        model.unshift(...some);
      } else if (step.kind === "delete" && model.length > 0) {
        const [one] = model.splice(step.index % model.length, 1);
        backlog.delete(one!);
      } else if (step.kind === "take") {
        const isMoved = model.map(({ transfer }) => transfer !== undefined);
        const plain = isMoved.indexOf(true) < 0 ? model.length : isMoved.indexOf(true);
        const count = isMoved[0] ? Number(step.alone) : plain;
        assertEquals(
          inputs(backlog.take(step.limit, step)),
          inputs(model.splice(0, Math.min(count, step.limit))),
        );
      }
      assertEquals(backlog.length, model.length);
    }
    assertEquals(inputs(backlog.takeAll()), inputs(model));
    assertEquals(backlog.length, 0);
  }));
});
