/** Keeps a browser session signed in: an ES module without dependencies. */

/** How early a token is renewed; durations in seconds. */
export interface JudgeSettings {
  /** With less life than this left, a refresh starts in the background. Default 300. */
  advisory: number
  /** With less life than this left, requests wait for the refresh. Default 30. */
  mandatory: number
  /** The largest share of a token's life for `advisory` (`mandatory`: half of it). Default 0.5. */
  share: number
  /** `advisory` is lengthened by up to this share, at random for each token. Default 0.1. */
  jitter: number
}

export const DEFAULTS: Readonly<JudgeSettings>

/** When a token arrived, and how long it lives. */
export interface HeldToken {
  /** `exp`, by the server's clock. */
  expiresAt: number
  /** The server's wall clock minus the browser's. */
  offset: number
  /** Seconds left on arrival. */
  life: number
  /** The monotonic clock on arrival. */
  monotonic: number
  /** Seconds before the end at which a background refresh starts. */
  advisory: number
  /** Seconds before the end from which requests wait for the refresh. */
  mandatory: number
}

export type Verdict = 'fresh' | 'advisory' | 'mandatory' | 'expired'

/**
 * Returns the thresholds and the remaining life of a token that arrived at `wall` (Unix seconds)
 * and `monotonic` (seconds).
 *
 * `date`: the response's Date header in Unix seconds; `refreshIn`: the `refresh_in` of the token
 * response, which replaces the advisory threshold; `chance`: a random number from 0 to 1, for the
 * jitter. Passes the test vectors of tests/vectors/judge.json, as every client does.
 */
export function hold(token: {
  issuedAt?: number | null
  expiresAt: number
  wall: number
  monotonic: number
  date?: number | null
  refreshIn?: number | null
  chance?: number
  settings?: Partial<JudgeSettings>
}): HeldToken

/** Returns the remaining life in seconds: the smaller of the values by the two clocks. */
export function secondsLeft(held: HeldToken, wall: number, monotonic: number): number

/** Returns how the token may be used; with exactly a threshold left it counts as above it. */
export function judge(held: HeldToken, wall: number, monotonic: number): Verdict

export interface SessionOptions {
  /**
   * The refresh route. Null if the server slides sessions by itself: then only `X-Refresh-Token`
   * renews, and an idle session ends with its token. Default '/refresh'.
   */
  refreshUrl?: string | null
  /** The login route. Default '/login'. */
  loginUrl?: string
  /**
   * The logout route. Default '/logout'; without `refreshUrl` set a revocation endpoint (RFC 7009),
   * such as '/revoke'.
   */
  logoutUrl?: string
  /** The route that ends all sessions of the user. Default '/logout-all'. */
  logoutAllUrl?: string
  /** Other origins whose requests carry the token, such as 'https://api.shop.example'. */
  origins?: string[]
  /** Tabs with the same name share one session. Default 'session'. */
  name?: string
  /** The header of quiet requests: the server's `quiet_header`, for example 'X-Quiet'. Default none. */
  quietHeader?: string
  settings?: Partial<JudgeSettings>
  /** Seconds before the session's absolute end at which `ending` is sent. Default 300. */
  ending?: number
  /** The wall clock in Unix seconds, for tests. */
  wall?: () => number
  /** A monotonic clock in seconds, for tests. */
  monotonic?: () => number
  /** A random number from 0 to 1, for tests. */
  chance?: () => number
}

export interface SessionRequest extends RequestInit {
  /**
   * A request that a page makes by itself, such as a poll: it does not extend the session. It
   * causes no refresh, is not repeated after a 401, and ignores a successor. Without a valid token
   * it is not sent and rejects with an Error whose `code` is 'quiet_expired'.
   */
  quiet?: boolean
}

/** The state of a session; it contains no token. */
export interface SessionState {
  isSignedIn: boolean
  subject: string
  sessionId: string
  /** `jti` of the access token. */
  tokenId: string
  /** Rises with every rotation; -1 if the server does not count. */
  sequence: number
  verdict: Verdict
  /** The remaining life of the access token in seconds. */
  left: number
  /** Its life on arrival in seconds. */
  life: number
  advisory: number
  mandatory: number
  /** The session's absolute end, in Unix seconds by the server's clock; null if unknown. */
  endsAt: number | null
}

/** The source of a token: this tab's refresh, a response's header, another tab, or a sign-in. */
export type By = 'refresh' | 'server' | 'tab' | 'login'

export interface SessionEvents {
  /** A session began, here or in another tab; the subject may differ from the one before. */
  signedin: CustomEvent<SessionState & { by: By }>
  /** A newer access token replaced the one before. */
  renewed: CustomEvent<SessionState & { by: By }>
  /** The session's absolute end is in `left` seconds. Sent once in a session. */
  ending: CustomEvent<{ left: number }>
  /**
   * There is no session. `reason`: 'signed out', 'refused' by the server, 'expired' (only without
   * `refreshUrl`), or 'absent': there was none. `elsewhere`: it ended in another tab.
   */
  signedout: CustomEvent<{ reason: string; elsewhere: boolean }>
}

export class SignInError extends Error {
  /** The status of the response. */
  status: number
  /** The OAuth error, such as 'invalid_grant'; '' if there is none. */
  code: string
  /** Seconds to wait before the next attempt if the server throttles sign-ins; else 0. */
  retryAfter: number
}

/**
 * A session of this browser. The access token is kept in memory, the refresh token in an HttpOnly
 * cookie that no script can read; no token is put into a storage or a URL.
 */
export class Session extends EventTarget {
  constructor(options?: SessionOptions)

  readonly state: SessionState

  /**
   * Sends a request as `fetch` does, with a valid access token if it is sent to the page's origin
   * or one of `origins` and has no Authorization header. After a 401 with `invalid_token` the
   * session is refreshed and the request sent once more, unless its body is a stream. Without a
   * session the request carries no token. Rejects with TypeError, as `fetch` does, if the network
   * fails. `init.signal` also ends the wait for a refresh, but not the refresh.
   */
  fetch(input: RequestInfo | URL, init?: SessionRequest): Promise<Response>

  /** Whether a request to `url` carries the token: the page's origin, or one of `origins`. */
  owns(url: string | URL): boolean

  /**
   * Sends a request of another HTTP client as `fetch` does, for example of axios (linqi-axios.js).
   * `send` gets the headers to add, as pairs, and is called again after a 401 with `invalid_token`
   * unless `once`; it resolves to an object with `status`, `headers.get` and the final `url`, whose
   * origin decides whether a successor is accepted. Check `owns` first.
   */
  exchange<R extends { status: number; url: string; headers: { get(name: string): string | null } }>(
    send: (headers: [string, string][]) => Promise<R>,
    options?: { signal?: AbortSignal; quiet?: boolean; once?: boolean },
  ): Promise<R>

  /** Returns a valid access token, for example for a WebSocket; '' if there is no session. */
  token(refused?: string): Promise<string>

  /**
   * Posts `fields` (username, password) to `loginUrl`. Rejects with SignInError if they are
   * refused, and with TypeError for a redirect, which no POST of a session follows. It waits for a
   * refresh under way, and none starts meanwhile. Of concurrent calls of `signIn`, `start` and
   * `signOut` in this tab the last one decides.
   */
  signIn(fields: Record<string, string>): Promise<void>

  /**
   * Begins a session with the token response (RFC 6749, section 5.1) of another login route. Throws
   * TypeError if the token has already expired, often because the clock is wrong and `date`, the
   * response's Date header, is not given.
   */
  start(answer: Record<string, unknown>, date?: string | null): void

  /**
   * Ends the session in all tabs and at the server; `everywhere`: on all devices of the user.
   * Rejects if the server did not confirm it: the session has ended here, but the cookie is valid.
   */
  signOut(options?: { everywhere?: boolean }): Promise<void>

  /** Refreshes now, whatever the token's age. */
  refresh(): Promise<void>

  /** Stops listening; the session goes on in other tabs and at the server. */
  close(): void

  addEventListener<K extends keyof SessionEvents>(
    type: K,
    listener: (event: SessionEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void
}

/** Returns a new `Session`. */
export function createSession(options?: SessionOptions): Session
