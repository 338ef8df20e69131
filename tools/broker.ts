/**
 * `deno task broker -- COMMAND…`: runs a command beside a RabbitMQ broker of its own, and leaves nothing of it behind.
 *
 * The broker listens on loopback, on ports of its own, with its own data, Erlang node, epmd and cookie: one that runs on this machine
 * already is not touched, nor in the way. The command finds in its environment
 *
 * | variable | what it names |
 * |---|---|
 * | `CONC_TEST_AMQP` | the broker's URL |
 * | `CONC_TEST_BROKER` | a program that controls it: `start`, `stop`, `kill` (as SIGKILL does), `ctl ARG…` (rabbitmqctl), `pid` |
 *
 * It ends with the exit code of the command; with 69 if RabbitMQ is not installed (`apt-get install rabbitmq-server`).
 *
 * @module
 */

/** Where packages put what the service runs. The programs on PATH would change to the service's user and data. */
const PROGRAMS = "/usr/lib/rabbitmq/bin";
/** EX_UNAVAILABLE of sysexits.h. */
const UNAVAILABLE = 69;
const SIGNALS: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** What the program that controls the broker does. */
const CONTROL = `
# What was killed stays a zombie until somebody reaps it, and may be reaped while we look: one look only.
alive() {
  [ -s "$RABBITMQ_PID_FILE" ] || return 1
  state=$(sed -n 's/^State:[[:space:]]*\\(.\\).*/\\1/p' "/proc/$(cat "$RABBITMQ_PID_FILE")/status" 2>/dev/null)
  case $state in '' | Z | X) return 1 ;; esac
}
case \${1-} in
start)
  alive && exit 0
  rm -f "$RABBITMQ_PID_FILE"
  mkdir -p "$RABBITMQ_LOG_BASE"
  setsid ${PROGRAMS}/rabbitmq-server >"$RABBITMQ_LOG_BASE/out" 2>&1 </dev/null &
  ${PROGRAMS}/rabbitmqctl --quiet wait --timeout 60 "$RABBITMQ_PID_FILE" >/dev/null || {
    cat "$RABBITMQ_LOG_BASE/out" >&2
    exit 1
  }
  ;;
stop)
  alive || exit 0
  ${PROGRAMS}/rabbitmqctl --quiet stop "$RABBITMQ_PID_FILE" >/dev/null
  ;;
kill)
  alive || exit 0
  kill -KILL "$(cat "$RABBITMQ_PID_FILE")"
  while alive; do sleep 0.02; done
  ;;
end)
  "$0" kill
  # It stays as long as it knows of a node, and learns of a death a moment later.
  tries=0
  while epmd -names >/dev/null 2>&1 && [ $tries -lt 250 ]; do
    epmd -kill >/dev/null 2>&1 || sleep 0.02
    tries=$((tries + 1))
  done
  ;;
ctl)
  shift
  exec ${PROGRAMS}/rabbitmqctl --quiet "$@"
  ;;
pid)
  cat "$RABBITMQ_PID_FILE"
  ;;
*)
  echo "control: start, stop, kill, ctl ARG…, or pid" >&2
  exit 2
  ;;
esac
`;

if (import.meta.main) {
  const words = Deno.args[0] === "--" ? Deno.args.slice(1) : Deno.args;
  Deno.exit(await main(words));
}

async function main(words: string[]): Promise<number> {
  if (words.length === 0) {
    console.error("broker: name a command: deno task broker -- COMMAND…");
    return 2;
  }
  if (!await isThere(`${PROGRAMS}/rabbitmq-server`)) {
    console.error(
      `broker: there is no ${PROGRAMS}/rabbitmq-server: install it: apt-get install rabbitmq-server`,
    );
    return UNAVAILABLE;
  }
  const directory = await Deno.makeTempDir({ prefix: "conc-broker-" });
  const control = `${directory}/control`;
  const url = await prepare(directory, control);
  let child: Deno.ChildProcess | undefined;
  let interrupted: Deno.Signal | undefined;
  const handlers = SIGNALS.map((signal) => {
    const handler = () => {
      interrupted ??= signal;
      child?.kill(signal);
    };
    Deno.addSignalListener(signal, handler);
    return [signal, handler] as const;
  });
  try {
    await run(control, ["start"]);
    if (interrupted !== undefined) return 130;
    child = new Deno.Command(words[0]!, {
      args: words.slice(1),
      env: { CONC_TEST_AMQP: url, CONC_TEST_BROKER: control },
    }).spawn();
    return (await child.status).code;
  } catch (error) {
    console.error(`broker: ${error instanceof Error ? error.message : error}`);
    return 1;
  } finally {
    child = undefined;
    await run(control, ["end"]).catch((error) => console.error(`broker: ${error.message}`));
    for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
    await Deno.remove(directory, { recursive: true });
  }
}

/** Writes what the broker starts with, and what controls it. Returns its URL. */
async function prepare(directory: string, control: string): Promise<string> {
  const [port, distribution, epmd] = freePorts(3) as [number, number, number];
  const password = crypto.randomUUID();
  const environment: Record<string, string> = {
    HOME: directory,
    ERL_CRASH_DUMP: `${directory}/erl_crash.dump`,
    ERL_EPMD_ADDRESS: "127.0.0.1",
    ERL_EPMD_PORT: String(epmd),
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    RABBITMQ_CONFIG_FILE: `${directory}/rabbitmq.conf`,
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_ENABLED_PLUGINS_FILE: `${directory}/enabled_plugins`,
    RABBITMQ_LOG_BASE: `${directory}/log`,
    RABBITMQ_MNESIA_BASE: `${directory}/data`,
    RABBITMQ_NODENAME: "conc@localhost",
    RABBITMQ_PID_FILE: `${directory}/pid`,
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
  };
  await Deno.writeTextFile(
    `${directory}/rabbitmq.conf`,
    [
      `listeners.tcp.1 = 127.0.0.1:${port}`,
      "default_user = conc",
      `default_pass = ${password}`,
      "loopback_users = none",
      "disk_free_limit.absolute = 10MB",
      "",
    ].join("\n"),
  );
  await Deno.writeTextFile(`${directory}/enabled_plugins`, "[].\n");
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}='${value}'`);
  await Deno.writeTextFile(control, `#!/bin/sh\nset -eu\n${exports.join("\n")}\n${CONTROL}`, { mode: 0o700 });
  return `amqp://conc:${password}@127.0.0.1:${port}`;
}

/** Ports that nobody listens on. They are held together, so that no two are the same. */
function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

async function run(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`cannot ${args[0]} the broker: ${new TextDecoder().decode(stderr).trim()}`);
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
