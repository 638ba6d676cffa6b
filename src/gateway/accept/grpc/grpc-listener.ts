import { createServer, type Socket, type Server as TcpServer } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import {
  type ConnectionInjector,
  Server as GrpcServer,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { createDeparture } from '../../../core/departure.ts'
import type { PeerCertificate } from '../../../core/peer-certificate.ts'
import { createAdmission } from '../admission.ts'
import type { LimitsConfig } from '../config.ts'
import { listen } from '../http-server.ts'
import type { Listener, ListenerDeps } from '../listener.ts'
import { badRequest, describeHead } from '../request-facts.ts'
import { certificateOf, createTlsSwitch, hasBadCertificate, type TlsSwitch } from '../tls.ts'
import { createCheckExchange } from './check-exchange.ts'
import { type CheckRequest, type CheckResponse, decodeCheckRequest, encodeCheckResponse } from './messages.ts'

/** A message that cannot be read is one too: gRPC would answer it by an error, and nobody would hear of it. */
interface Received {
  readonly asked: CheckRequest | null
}

type Call = ServerUnaryCall<Received, CheckResponse>

const PATH = '/envoy.service.auth.v3.Authorization/Check'
const IDLE_MS = 5 * 60_000
const MOST_CALLS_AT_A_TIME = 1000

/**
 * A gRPC server, on plain TCP or TLS, for Envoy's `Authorization.Check`; each question is handed over as an `Exchange`.
 *
 * A question is always answered by an allow or a denial, never by an error of the call. Does not record: calls of
 * other methods, and messages over the limit, which gRPC answers by itself.
 */
export const createGrpcListener = (deps: ListenerDeps): Listener => {
  const { config, log } = deps
  let { limits } = deps
  const tls = deps.tls === undefined || deps.tls === null ? null : createTlsSwitch(deps.tls)
  const certificates = new Map<string, PeerCertificate>()
  const grpc = createCallServer(limits, (call, callback) => {
    const peer = call.getPeer()
    answerCall(call, callback, deps, {
      remoteAddress: peer.slice(0, peer.lastIndexOf(':')),
      peerCertificate: certificates.get(peer) ?? null,
      listener: config.id ?? config.bind,
      tls: tls !== null,
    })
  })
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure())
  const admission = createAdmission(() => limits.connectionsPerAddress)
  admission.trust(config.trustedProxies ?? [])
  const sockets = new Set<Socket>()
  const server = createSocketServer(tls, limits, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    if ('getPeerX509Certificate' in socket) keepCertificate(socket as TLSSocket, certificates)
    injector.injectConnection(socket)
  })
  server.on('connection', (raw: Socket) => {
    if (!admission.admit(raw)) raw.destroy()
  })
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    log.debug({ listener: config.bind, code: Reflect.get(error, 'code') }, 'a TLS handshake failed')
    socket.destroy()
  })
  server.maxConnections = limits.connections
  return {
    listen: () => listen(server, config.bind),
    configure: (settings) => {
      limits = settings.limits
      server.maxConnections = limits.connections
      admission.trust(settings.config.trustedProxies ?? [])
      if ('setSecureContext' in server && settings.tls) tls?.replace(server, settings.tls)
    },
    connections: () => sockets.size,
    close: (drainTimeoutMs) => closeAll(server, injector, grpc, sockets, drainTimeoutMs),
  }
}

const createCallServer = (
  { bodyBytes, headerBytes }: LimitsConfig,
  onCheck: (call: Call, callback: sendUnaryData<CheckResponse>) => void,
): GrpcServer => {
  const grpc = new GrpcServer({
    // Headers come once by themselves, and may come once merged.
    'grpc.max_receive_message_length': bodyBytes + 4 * headerBytes,
    'grpc.max_concurrent_streams': MOST_CALLS_AT_A_TIME,
    'grpc.max_connection_idle_ms': IDLE_MS,
    'grpc.enable_channelz': 0,
  })
  const check = {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: (bytes: Buffer): Received => ({ asked: decodeCheckRequest(bytes) }),
    responseSerialize: encodeCheckResponse,
    responseDeserialize: () => ({ status: { code: 0 } }),
  } as const
  grpc.addService({ check }, { check: onCheck })
  return grpc
}

const createSocketServer = (
  tls: TlsSwitch | null,
  limits: LimitsConfig,
  open: (socket: Socket) => void,
): TcpServer | TlsServer => {
  if (tls === null) return createServer({ noDelay: true }, open)
  const options = { ...tls.options, ALPNProtocols: ['h2'], handshakeTimeout: limits.headersTimeout }
  return createTlsServer(options, (socket) => {
    if (hasBadCertificate(socket)) socket.destroy()
    else open(socket)
  })
}

const keepCertificate = (socket: TLSSocket, certificates: Map<string, PeerCertificate>): void => {
  const certificate = certificateOf(socket)
  if (certificate === null) return
  const peer = `${socket.remoteAddress}:${socket.remotePort}`
  certificates.set(peer, certificate)
  socket.once('close', () => certificates.delete(peer))
}

const answerCall = (
  call: Call,
  callback: sendUnaryData<CheckResponse>,
  { clock, log, onExchange, onParserRefusal }: ListenerDeps,
  asker: Parameters<typeof createCheckExchange>[1],
): void => {
  const departure = createDeparture()
  call.on('cancelled', departure.gone)
  const answer = (response: CheckResponse): void => callback(null, response)
  const exchange = createCheckExchange(call.request.asked, asker, departure, answer)
  try {
    if (call.request.asked !== null) return onExchange(exchange)
    const refusal = badRequest('a message that is no question about an HTTP request')
    onParserRefusal(exchange, { ...refusal, request: describeHead(exchange.head, clock) })
  } catch (bug) {
    log.error({ stack: bug instanceof Error ? bug.stack : String(bug) }, 'internal error')
    exchange.reply.abort()
  }
}

const closeAll = (
  server: TcpServer,
  injector: ConnectionInjector,
  grpc: GrpcServer,
  sockets: ReadonlySet<Socket>,
  drainTimeoutMs: number,
): Promise<void> =>
  new Promise((resolve) => {
    const cut = setTimeout(() => {
      for (const socket of sockets) socket.destroy()
    }, drainTimeoutMs)
    server.close(() => {
      clearTimeout(cut)
      grpc.forceShutdown()
      resolve()
    })
    injector.drain(drainTimeoutMs)
  })
