import { assert, assertEquals, assertThrows } from "@std/assert";
import { SystemError, UsageError } from "../../lib/errors.ts";
import { adoptsOrphans } from "../../lib/process/descendants.ts";
import { Pidfile, PidfileHeldError } from "../../lib/process/pidfile.ts";
import { spawn } from "../../lib/process/spawn.ts";
import { exists } from "../cli/conc.ts";
import { inDirectorySync } from "../helpers.ts";

// Opens the C library here, as it stays open until the process ends.
adoptsOrphans();

const ignore = Deno.build.os !== "linux";

Deno.test({
  name: "Pidfile refuses a file whose process lives, and leaves it as it was",
  ignore,
  async fn() {
    const child = spawn(["sleep", "300"]);
    inDirectorySync((directory) => {
      const path = `${directory}/p`;
      Deno.writeTextFileSync(path, `${child.pid}\n`);
      assertThrows(() => new Pidfile(path), PidfileHeldError, `process ${child.pid} (`);
      assertEquals(Deno.readTextFileSync(path), `${child.pid}\n`);
      // The number was given to another process after the file was written.
      Deno.utimeSync(path, 0, Date.now() / 1_000 - 3_600);
      {
        using _pidfile = new Pidfile(path);
        assertEquals(Deno.readTextFileSync(path), `${Deno.pid}\n`);
      }
      assert(!exists(path));
    });
    await child.end("test");
  },
});

Deno.test({
  name: "Pidfile replaces the file of a dead process, also one that is a longer number, or empty",
  ignore,
  fn() {
    inDirectorySync((directory) => {
      for (const text of ["4194304999\n", "4194304", "", "\n"]) {
        Deno.writeTextFileSync(`${directory}/p`, text);
        using _pidfile = new Pidfile(`${directory}/p`);
        assertEquals(Deno.readTextFileSync(`${directory}/p`), `${Deno.pid}\n`);
      }
    });
  },
});

Deno.test("Pidfile changes nothing that is no pidfile, and says what it cannot write", () => {
  inDirectorySync((directory) => {
    Deno.writeTextFileSync(`${directory}/notes`, "two 12\n");
    for (const path of [`${directory}/notes`, directory, "/dev/null"]) {
      assertThrows(() => new Pidfile(path), UsageError, "as it is something else");
    }
    assertEquals(Deno.readTextFileSync(`${directory}/notes`), "two 12\n");
    assertThrows(() => new Pidfile(`${directory}/no/p`), SystemError, "cannot write the pidfile");
  });
});

Deno.test("Pidfile removes no file that became another's", () => {
  inDirectorySync((directory) => {
    const path = `${directory}/p`;
    {
      using _pidfile = new Pidfile(path);
      Deno.removeSync(path);
      Deno.writeTextFileSync(path, "1\n");
    }
    assertEquals(Deno.readTextFileSync(path), "1\n");
  });
});
