import { assert } from "@std/assert";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import { isReaderGone } from "../../lib/process/libc.ts";
import { eventually } from "../cli/conc.ts";

// Opens the C library here, as it stays open until the process ends.
adoptsOrphans();

Deno.test({
  name: "isReaderGone() tells a pipe that nobody reads from one that is read, and from what is no pipe",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const child = new Deno.Command("cat", { stdin: "piped", stdout: "null" }).spawn();
    const pipe = Deno.readLinkSync(`/proc/${child.pid}/fd/0`);
    const fd = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name)).find((fd) =>
      linkOf(fd) === pipe
    );
    assert(fd !== undefined && !isReaderGone(fd));
    child.kill("SIGKILL");
    await child.status;
    await eventually("the reader is gone", () => isReaderGone(fd));
    await child.stdin.abort();
    assert(!isReaderGone(fd));
  },
});

/** What a descriptor of this process is. */
function linkOf(fd: number): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
