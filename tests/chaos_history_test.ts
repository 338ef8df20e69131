import { assertEquals } from "@std/assert";
import { contradictions, type Fact } from "./chaos_history.ts";

Deno.test("the check of a history finds what cannot be true", () => {
  const at = (atMs: number, pid: number, fact: Omit<Fact, "atMs" | "pid">): Fact => ({ atMs, pid, ...fact });
  const holds = { step: "holds", object: "semaphore", weight: 2 } as const;
  const releases = { ...holds, step: "releases" } as const;
  const found = (...facts: Fact[]) => contradictions(facts).length;
  assertEquals(found(at(0, 1, holds), at(10, 1, releases), at(11, 2, holds), at(20, 2, releases)), 0);
  assertEquals(found(at(0, 1, holds), at(5, 2, holds), at(20, 1, releases), at(25, 2, releases)), 1);
  assertEquals(found(at(0, 1, holds), at(5, 1, { step: "killed" }), at(5, 2, holds), at(25, 2, releases)), 0);
  const item = "a";
  assertEquals(found(at(0, 1, { step: "putting", item }), at(1, 1, { step: "put", item })) > 0, true);
  assertEquals(found(at(0, 1, { step: "received", item })), 1);
  const whole = [
    at(0, 1, { step: "putting", item }),
    at(1, 1, { step: "put", item }),
    at(2, 2, { step: "received", item }),
    at(4, 2, { step: "acked", item }),
  ];
  assertEquals(found(...whole), 0);
  const again = at(10, 3, { step: "received", item });
  assertEquals(found(...whole, again), 1);
  assertEquals(found(...whole, again, at(0.5, 0, { step: "outage", untilMs: 0.7 })), 0);
  assertEquals(found(...whole, again, at(5, 0, { step: "outage", untilMs: 6 })), 0);
  assertEquals(found(...whole, again, at(9_000, 0, { step: "outage", untilMs: 9_001 })), 1);
  assertEquals(found(...whole, again, at(3, 4, { step: "giving back", item })), 0);
  assertEquals(
    found(
      ...whole,
      again,
      at(3, 2, { step: "giving back", item }),
      at(3.5, 2, { step: "given back", item }),
    ),
    1,
  );
});
