/**
 * Signals made of others.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { EitherSignal } from "../lib/abort.ts";

Deno.test("EitherSignal is aborted with the first reason, also when that was there before", () => {
  const [one, other] = [new AbortController(), new AbortController()];
  using either = new EitherSignal(one.signal, undefined, other.signal);
  other.abort("first");
  one.abort("second");
  assertEquals(either.signal.reason, "first");
  using late = new EitherSignal(other.signal);
  assertEquals(late.signal.reason, "first");
});

Deno.test("EitherSignal that is disposed of is not aborted any more", () => {
  const controller = new AbortController();
  const either = new EitherSignal(controller.signal);
  either[Symbol.dispose]();
  controller.abort();
  assertEquals(either.signal.aborted, false);
});

Deno.test("EitherSignal is heard though nobody but the source holds it when garbage is collected", async () => {
  const program = new URL("./fixtures/either_signal.ts", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--v8-flags=--expose-gc", program],
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "heard 100 of 100\n");
});
