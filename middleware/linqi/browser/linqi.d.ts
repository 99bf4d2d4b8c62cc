/** Keeps a browser's session signed in: an ES module without dependencies. */

/** When a token is near expiry; all in seconds. */
export interface JudgeSettings {
  /** With less life than this left, one caller refreshes in the background. Default 300. */
  advisory: number
  /** With less than this left, all wait for the refresh. Default 30. */
  mandatory: number
  /** Neither is more than this share of a token's life (the second: half of that). Default 0.5. */
  share: number
  /** `advisory` is longer by up to this share, at random for each token. Default 0.1. */
  jitter: number
}

export const DEFAULTS: Readonly<JudgeSettings>

/** What is remembered of a token: when it came, and how long it lives. */
export interface HeldToken {
  /** `exp`, by the server's clock. */
  expiresAt: number
  /** The server's wall clock less ours. */
  offset: number
  /** Seconds left when it came. */
  life: number
  /** When it came, by the monotonic clock. */
  monotonic: number
  advisory: number
  mandatory: number
}

export type Verdict = 'fresh' | 'advisory' | 'mandatory' | 'expired'

/**
 * Take up a token that came at `wall` (Unix seconds) and `monotonic` (seconds).
 *
 * `date`: the answer's Date header; `refreshIn`: what the server said beside the token, which
 * stands for the advisory threshold; `chance`: from 0 to 1, for the jitter. Fulfils the table in
 * tests/vectors/judge.json, as every client does.
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

/** Give the life that is left: the shorter by either clock. */
export function secondsLeft(held: HeldToken, wall: number, monotonic: number): number

/** Tell what a token is good for; at exactly a threshold it is above it. */
export function judge(held: HeldToken, wall: number, monotonic: number): Verdict

export interface SessionOptions {
  /**
   * Where the refresh cookie is redeemed. Null where the server slides sessions by itself: then
   * only `X-Refresh-Token` renews, and an idle session ends with its token. Default '/refresh'.
   */
  refreshUrl?: string | null
  /** Default '/login'. */
  loginUrl?: string
  /** Default '/logout'; without `refreshUrl`, a revocation endpoint (RFC 7009), '/revoke'. */
  logoutUrl?: string
  /** Default '/logout-all'. */
  logoutAllUrl?: string
  /** Other origins whose requests carry the token, such as 'https://api.shop.example'. */
  origins?: string[]
  /** Tabs with one name share one session. Default 'session'. */
  name?: string
  /** The header that quiet requests carry: the server's `quiet_header`, 'X-Quiet' say. Default none. */
  quietHeader?: string
  settings?: Partial<JudgeSettings>
  /** Seconds before the session's absolute end at which `ending` is told. Default 300. */
  ending?: number
  /** The wall clock in Unix seconds, for tests. */
  wall?: () => number
  /** A clock that never jumps, in seconds, for tests. */
  monotonic?: () => number
  /** From 0 to 1, for tests. */
  chance?: () => number
}

export interface SessionRequest extends RequestInit {
  /**
   * A request that a page makes by itself, such as a poll: it does not extend the session. It never
   * refreshes, is not sent again after a 401, and takes up no successor; without a living token it
   * rejects, before it is sent, with an Error whose `code` is 'quiet_expired'.
   */
  quiet?: boolean
}

/** What a session is like; there is no token in it. */
export interface SessionState {
  isSignedIn: boolean
  subject: string
  sessionId: string
  /** `jti` of the access token. */
  tokenId: string
  /** Rises with every rotation; -1 where the server does not count. */
  sequence: number
  verdict: Verdict
  /** Seconds that the access token lives. */
  left: number
  /** Seconds that it lived when it came. */
  life: number
  advisory: number
  mandatory: number
  /** When the session ends for good, in Unix seconds by the server's clock; null if unknown. */
  endsAt: number | null
}

/** Who brought a token: this tab's refresh, a response's header, another tab, or a sign-in. */
export type By = 'refresh' | 'server' | 'tab' | 'login'

export interface SessionEvents {
  /** A session began, here or in another tab; the subject may be another one than before. */
  signedin: CustomEvent<SessionState & { by: By }>
  /** A newer access token was taken up. */
  renewed: CustomEvent<SessionState & { by: By }>
  /** The session ends for good in `left` seconds. Told once a session. */
  ending: CustomEvent<{ left: number }>
  /**
   * There is no session any more: 'signed out', 'refused' by the server, 'expired' (only without
   * `refreshUrl`), or 'absent': there was none. `elsewhere`: another tab said so.
   */
  signedout: CustomEvent<{ reason: string; elsewhere: boolean }>
}

export class SignInError extends Error {
  /** The status of the response. */
  status: number
  /** The OAuth error, such as 'invalid_grant'; '' if there was none. */
  code: string
  /** Seconds to wait before the next attempt, where the server throttles; else 0. */
  retryAfter: number
}

/**
 * A session of this browser. The access token lives in memory, the refresh token in an HttpOnly
 * cookie that no script can read; nothing is put into any storage or URL.
 */
export class Session extends EventTarget {
  constructor(options?: SessionOptions)

  readonly state: SessionState

  /**
   * Send a request as `fetch` does, with a living access token where it goes to the page's origin
   * or one of `origins` and has no Authorization of its own. After a 401 that says `invalid_token`
   * the session is refreshed and the request sent once more, unless its body is a stream. Without
   * a session the request goes without a token. TypeError, as from `fetch`, when the network fails;
   * `init.signal` also ends the wait for a refresh, which goes on for the others.
   */
  fetch(input: RequestInfo | URL, init?: SessionRequest): Promise<Response>

  /** Give a living access token, for a WebSocket say; '' when nobody is signed in. */
  token(refused?: string): Promise<string>

  /**
   * Post `fields` (username, password) to `loginUrl`; SignInError when they are refused. No post
   * of a session follows a redirect: TypeError. It waits for a refresh under way, and none starts
   * meanwhile; of `signIn`, `start` and `signOut` in this tab the last one called decides.
   */
  signIn(fields: Record<string, string>): Promise<void>

  /**
   * Begin a session with the token response (RFC 6749, section 5.1) of a login of your own.
   * TypeError when the token is over already: mostly a clock that is wrong, where `date` is not given.
   */
  start(answer: Record<string, unknown>, date?: string | null): void

  /**
   * End the session in all tabs and at the server; `everywhere`: on all devices of the person.
   * Rejects when the server could not be told: the session is over here, the cookie still good.
   */
  signOut(options?: { everywhere?: boolean }): Promise<void>

  /** Refresh now, whatever the token's age. */
  refresh(): Promise<void>

  /** Stop listening; the session goes on in other tabs and at the server. */
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

/** Give a session. */
export function createSession(options?: SessionOptions): Session
