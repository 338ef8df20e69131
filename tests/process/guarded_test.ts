import { assertEquals } from "@std/assert";
import { guardVariables, jobLives, LEASE_VARIABLE, processesOf } from "../../lib/process/guarded.ts";
import { Sleeper } from "../host/stores.ts";

const ignore = Deno.build.os !== "linux";
const token = () => crypto.randomUUID().slice(0, 16);

Deno.test("guardVariables() keeps the leases around", () => {
  const around = (value?: string) => ({ get: () => value });
  assertEquals(guardVariables("b", around()), { [LEASE_VARIABLE]: "b" });
  assertEquals(guardVariables("b", around("a")), { [LEASE_VARIABLE]: "a:b" });
});

Deno.test({
  name: "jobLives() holds as long as its first process lives, or any that carries the token",
  ignore,
  async fn() {
    const name = token();
    await using first = new Sleeper();
    await using other = new Sleeper(guardVariables(name, { get: () => "outer" }));
    await using _stranger = new Sleeper(guardVariables(`${name}0`, { get: () => undefined }));
    const job = { token: name, first: first.identity };
    const pids = () => processesOf(job).map(({ pid }) => pid).sort((a, b) => a - b);
    assertEquals([jobLives(job), pids()], [true, [first.pid, other.pid].sort((a, b) => a - b)]);
    await first.kill();
    assertEquals([jobLives(job), pids()], [true, [other.pid]]);
    await other.kill();
    assertEquals([jobLives(job), pids()], [false, []]);
  },
});

Deno.test({
  name: "jobLives() knows the first process by when it started",
  ignore,
  async fn() {
    await using first = new Sleeper();
    const { pid, started } = first.identity;
    assertEquals(jobLives({ token: token(), first: { pid, started } }), true);
    assertEquals(jobLives({ token: token(), first: { pid, started: started - 1 } }), false);
    assertEquals(processesOf({ token: token(), first: { pid, started: started - 1 } }), []);
  },
});
