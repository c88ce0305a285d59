// A tour of flocks over gRPC: tour SERVICE. Types are generated from the protos (npm run build), so that a field that does
// not exist does not compile; the protos themselves are read when the program starts.
import * as os from "node:os";
import * as path from "node:path";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import type { ErrorDetail__Output as ErrorDetail } from "./generated/flocks/v1/ErrorDetail";
import type { ExplainServiceResponse__Output as Explanation } from "./generated/flocks/v1/ExplainServiceResponse";
import type { GetStatusResponse__Output as Status } from "./generated/flocks/v1/GetStatusResponse";
import type { ReadLogsResponse__Output as LogPiece } from "./generated/flocks/v1/ReadLogsResponse";
import type { RestartServicesResponse__Output as Begun } from "./generated/flocks/v1/RestartServicesResponse";
import type { ServiceStatus__Output as ServiceStatus } from "./generated/flocks/v1/ServiceStatus";
import type { SupervisorServiceClient } from "./generated/flocks/v1/SupervisorService";
import type { ProtoGrpcType as Supervisor } from "./generated/supervisor";
import type { ProtoGrpcType as Envelope } from "./generated/ttrpc";

const LINES = 5;
// The same options as in package.json, which the types are made with.
const PROTOS = loader.loadSync(["flocks/v1/supervisor.proto", "flocks/ttrpc/v1/ttrpc.proto"], {
  includeDirs: [path.join(__dirname, "../../../../proto")],
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});
const { flocks } = grpc.loadPackageDefinition(PROTOS) as unknown as Supervisor & Envelope;

/** $FLOCKS_SOCKET, or the socket of $FLOCKS_ROOT, which is ~/.flocks by default. */
function socketPath(): string {
  const root = process.env.FLOCKS_ROOT || path.join(os.homedir(), ".flocks");
  return process.env.FLOCKS_SOCKET || path.join(root, "run", "flocksd.sock");
}

/** Every call has a deadline; a stream's is that of its last message. */
function within(seconds: number): grpc.CallOptions {
  return { deadline: Date.now() + seconds * 1000 };
}

/** The answer of a unary call, as a promise. */
function answer<A>(begin: (callback: grpc.requestCallback<A>) => void): Promise<A> {
  return new Promise((resolve, reject) => {
    begin((error, value) => (value === undefined ? reject(error) : resolve(value)));
  });
}

/** The messages of a stream. Leaving the loop ends the call, which grpc-js tells as an error that nobody needs. */
async function* messages<A>(stream: grpc.ClientReadableStream<A>): AsyncGenerator<A> {
  try {
    for await (const message of stream) yield message;
  } finally {
    stream.on("error", () => {});
    stream.cancel();
  }
}

function stateOf(service: ServiceStatus): string {
  return service.state.replace("SERVICE_STATE_", "");
}

async function showStatus(client: SupervisorServiceClient): Promise<Status> {
  const status = await answer<Status>((done) => client.getStatus({}, within(10), done));
  for (const service of status.services)
    console.log(`status: ${service.name} ${stateOf(service)}, generation ${service.generation}`);
  return status;
}

/** Begins, then watches: the work is the daemon's and would go on without us. */
async function restart(client: SupervisorServiceClient, name: string): Promise<void> {
  const begun = await answer<Begun>((done) => client.restartServices({ services: [name] }, within(10), done));
  for await (const { operation } of messages(client.watchOperation({ operationId: begun.operation?.id }, within(60)))) {
    if (!operation) continue;
    const progress = operation.state.replace("OPERATION_STATE_", "");
    console.log(`restart: ${progress}, ${operation.stepsDone} of ${operation.stepsTotal}`);
    if (!operation.endedAt) continue;
    for (const one of operation.outcomes)
      console.log(`restart: ${one.service} generation ${one.fromGeneration} -> ${one.toGeneration}`);
  }
}

/** Line by line; a piece holds whole ones. */
async function* linesOf(pieces: AsyncIterable<LogPiece>): AsyncGenerator<string> {
  for await (const piece of pieces) yield* piece.data.toString().trimEnd().split("\n");
}

async function followLog(client: SupervisorServiceClient, name: string): Promise<void> {
  const pieces = messages(client.readLogs({ services: [name], tail: 2, follow: true }, within(60)));
  let seen = 0;
  for await (const line of linesOf(pieces)) {
    console.log(`log: ${line}`);
    if (++seen === LINES) return;
  }
}

/** Everything since `token`, until the service is healthy in another generation than `old`. */
async function watchEvents(client: SupervisorServiceClient, name: string, token: string, old: number): Promise<void> {
  for await (const item of messages(client.watchEvents({ after: token, services: [name] }, within(60)))) {
    const now = item.event?.service?.status;
    if (!now) continue;
    console.log(`event: ${now.name} ${stateOf(now)}, generation ${now.generation}`);
    if (now.state === "SERVICE_STATE_HEALTHY" && now.generation > old) return;
  }
}

async function explain(client: SupervisorServiceClient, name: string): Promise<void> {
  const why = await answer<Explanation>((done) => client.explainService({ service: name }, within(10), done));
  if (why.status)
    console.log(`explain: ${name} ${stateOf(why.status)}, ${why.status.reason.replace("STATE_REASON_", "")}`);
  const last = why.exits[0];
  if (last?.outcome === "signal") console.log(`explain: generation ${last.generation} ended by ${last.signal}`);
  if (last?.outcome === "exitCode") console.log(`explain: generation ${last.generation} ended with ${last.exitCode}`);
}

/** The typed half of a failure. flocks.ttrpc.v1.Status is google.rpc.Status on the wire. */
function detailsOf(error: grpc.ServiceError): ErrorDetail[] {
  const [packed] = error.metadata.get("grpc-status-details-bin");
  if (!(packed instanceof Buffer)) return [];
  return flocks.ttrpc.v1.Status.deserialize(packed)
    .details.filter((any) => any.type_url.endsWith("/flocks.v1.ErrorDetail"))
    .map((any) => flocks.v1.ErrorDetail.deserialize(any.value));
}

/** What a failure brings: a code, a text, and a typed detail. */
async function makeAMistake(client: SupervisorServiceClient): Promise<void> {
  try {
    await answer<Begun>((done) => client.restartServices({ services: ["nobody"] }, within(10), done));
  } catch (thrown) {
    const error = thrown as grpc.ServiceError;
    console.log(`mistake: code ${error.code}, ${error.details}`);
    for (const detail of detailsOf(error))
      console.log(`mistake: ${detail.reason.replace("ERROR_REASON_", "")}, ${detail.service}: ${detail.hint}`);
  }
}

async function main(name: string): Promise<void> {
  const client = new flocks.v1.SupervisorService(`unix:${socketPath()}`, grpc.credentials.createInsecure());
  try {
    const before = await showStatus(client);
    const old = before.services.find((service) => service.name === name)?.generation ?? 0;
    await restart(client, name);
    await followLog(client, name);
    await watchEvents(client, name, before.eventToken, old);
    await explain(client, name);
    await makeAMistake(client);
  } finally {
    client.close();
  }
}

const [name] = process.argv.slice(2);
if (name === undefined) {
  console.error("usage: tour SERVICE");
  process.exit(2);
}
main(name).catch((error: Error) => {
  console.error(`tour: ${error.message}`);
  process.exitCode = 1;
});
