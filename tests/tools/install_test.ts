import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path/from-file-url";
import { exists, inDirectory } from "../cli/conc.ts";
import { names } from "../helpers.ts";

const INSTALL = fromFileUrl(new URL("../../install.sh", import.meta.url));
const PROGRAM = new TextEncoder().encode("#!/bin/sh\necho conc 9.9.9\n");
const TARGET = "x86_64-unknown-linux-gnu";
const ignore = Deno.build.os === "windows";

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes)));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface Installation {
  directory: string;
  /** Installs into `directory/bin`, or where `env` says, on a machine that `uname` describes. */
  install(
    options?: { uname?: string; env?: Record<string, string> },
  ): Promise<{ code: number; stdout: string; stderr: string }>;
}

/** Serves files, and runs install.sh against them. */
async function withServer(
  files: Readonly<Record<string, Uint8Array | string>>,
  body: (installation: Installation) => Promise<void>,
): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const file = files[new URL(request.url).pathname.slice(1)];
    return file === undefined ? new Response("none", { status: 404 }) : new Response(file as BodyInit);
  });
  try {
    await inDirectory(async (directory) => {
      await Deno.mkdir(`${directory}/fake`);
      const install: Installation["install"] = async ({ uname = "Linux x86_64", env = {} } = {}) => {
        const [system, machine] = uname.split(" ");
        const script = `#!/bin/sh\ncase "$1" in -s) echo ${system} ;; *) echo ${machine} ;; esac\n`;
        await Deno.writeTextFile(`${directory}/fake/uname`, script, { mode: 0o755 });
        const { code, stdout, stderr } = await new Deno.Command("sh", {
          args: [INSTALL],
          env: {
            PATH: `${directory}/fake:${Deno.env.get("PATH")}`,
            CONC_INSTALL_DIR: `${directory}/bin`,
            CONC_DOWNLOAD_BASE: `http://127.0.0.1:${server.addr.port}`,
            no_proxy: "*",
            ...env,
          },
        }).output();
        const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
        return { code, stdout: decode(stdout), stderr: decode(stderr) };
      };
      await body({ directory, install });
    });
  } finally {
    await server.shutdown();
  }
}

/** The files of a release for one target. */
async function release(target: string, program = PROGRAM): Promise<Record<string, Uint8Array | string>> {
  return {
    [`conc-${target}`]: program,
    [`conc-${target}.sha256`]: `${await sha256(PROGRAM)}  conc-${target}\n`,
  };
}

Deno.test({
  name: "install.sh installs the release for this machine, and says what PATH lacks",
  ignore,
  async fn() {
    const machines = [
      ["Linux x86_64", TARGET],
      ["Linux aarch64", "aarch64-unknown-linux-gnu"],
      ["Linux arm64", "aarch64-unknown-linux-gnu"],
      ["Darwin x86_64", "x86_64-apple-darwin"],
      ["Darwin arm64", "aarch64-apple-darwin"],
    ] as const;
    for (const [uname, target] of machines) {
      await withServer(await release(target), async ({ directory, install }) => {
        const path = `${directory}/bin/conc`;
        const { code, stdout, stderr } = await install({ uname });
        assertEquals([code, stderr], [0, ""]);
        assertStringIncludes(stdout, `installed ${path}\n`);
        assertStringIncludes(stdout, `export PATH="${directory}/bin:$PATH"`);
        assertEquals(
          new TextDecoder().decode((await new Deno.Command(path).output()).stdout),
          "conc 9.9.9\n",
        );
        assertEquals(names(`${directory}/bin`), ["conc"]);
      });
    }
  },
});

Deno.test({
  name: "install.sh replaces an older conc, and says nothing of a PATH that is right",
  ignore,
  async fn() {
    await withServer(await release(TARGET), async ({ directory, install }) => {
      await Deno.mkdir(`${directory}/bin`);
      await Deno.writeTextFile(`${directory}/bin/conc`, "old");
      const PATH = `${directory}/fake:${directory}/bin:${Deno.env.get("PATH")}`;
      const { code, stdout } = await install({ env: { PATH } });
      assertEquals({ code, stdout }, { code: 0, stdout: `installed ${directory}/bin/conc\n` });
      assertEquals(await Deno.readFile(`${directory}/bin/conc`), PROGRAM);
    });
  },
});

Deno.test({
  name: "install.sh installs nothing when the checksum is wrong, and keeps what was there",
  ignore,
  async fn() {
    const tampered = Uint8Array.from([...PROGRAM, 10]);
    const good = await release(TARGET);
    const cases = [await release(TARGET, tampered), { ...good, [`conc-${TARGET}.sha256`]: "" }];
    for (const files of cases) {
      await withServer(files, async ({ directory, install }) => {
        await Deno.mkdir(`${directory}/bin`);
        await Deno.writeTextFile(`${directory}/bin/conc`, "old");
        const { code, stdout, stderr } = await install();
        assertEquals([code, stdout], [1, ""]);
        assertMatch(stderr, /^install: the checksum of conc-.* is wrong: it was not installed/);
        assertEquals(await Deno.readTextFile(`${directory}/bin/conc`), "old");
        assertEquals(names(`${directory}/bin`), ["conc"]);
      });
    }
  },
});

Deno.test({
  name: "install.sh installs nothing when the release, or its checksum, is not there",
  ignore,
  async fn() {
    const { [`conc-${TARGET}.sha256`]: _, ...unsigned } = await release(TARGET);
    for (const [files, missing] of [[{}, `conc-${TARGET}:`], [unsigned, `conc-${TARGET}.sha256:`]] as const) {
      await withServer(files, async ({ directory, install }) => {
        const { code, stderr } = await install();
        assertEquals(code, 1);
        assertMatch(stderr, new RegExp(`install: cannot download http://\\S+/${missing} check the address`));
        assertEquals(names(`${directory}/bin`), []);
      });
    }
  },
});

Deno.test({
  name: "install.sh says for which machine there is no release, and downloads nothing",
  ignore,
  async fn() {
    await withServer(await release(TARGET), async ({ directory, install }) => {
      for (const uname of ["Linux riscv64", "FreeBSD x86_64", "MINGW64_NT x86_64"]) {
        const { code, stderr } = await install({ uname });
        assertEquals(code, 1);
        const [system, machine] = uname.split(" ");
        assertMatch(
          stderr,
          new RegExp(`^install: no release for ${system} on ${machine}: compile it from source`),
        );
      }
      assert(!exists(`${directory}/bin`));
    });
  },
});

Deno.test({
  name: "install.sh says that it cannot make the directory",
  ignore,
  async fn() {
    await withServer(await release(TARGET), async ({ directory, install }) => {
      await Deno.writeTextFile(`${directory}/file`, "");
      const { code, stderr } = await install({ env: { CONC_INSTALL_DIR: `${directory}/file/bin` } });
      assertEquals(code, 1);
      assertStringIncludes(
        stderr,
        `install: cannot make ${directory}/file/bin: CONC_INSTALL_DIR names another place`,
      );
    });
  },
});
