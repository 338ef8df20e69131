/**
 * This program, to be started again.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";

/** The words that start this program once more, its arguments to follow: the executable, or Deno with the sources. */
export function selfWords(): string[] {
  const program = Deno.execPath();
  if (Deno.build.standalone) return [program];
  const config = fromFileUrl(new URL("deno.json", Deno.mainModule));
  return [program, "run", "--allow-all", "--no-check", `--config=${config}`, fromFileUrl(Deno.mainModule)];
}
