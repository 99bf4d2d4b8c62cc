// Keeps a browser session signed in; linqi.d.ts documents the API.

export const DEFAULTS = Object.freeze({ advisory: 300, mandatory: 30, share: 0.5, jitter: 0.1 })

const TRIES = [0, 200, 600] // milliseconds
const UNAVAILABLE = [429, 502, 503, 504]
const TIMEOUT = 10_000
const NEWS = 150 // for other tabs to answer
const LONGEST_TIMER = 2 ** 31 - 1

export function hold({
  issuedAt = null, expiresAt, wall, monotonic, date = null, refreshIn = null, chance = 0, settings,
}) {
  const { advisory, mandatory, share, jitter } = { ...DEFAULTS, ...settings }
  // A Date has whole seconds; `iat` only proves that the server's clock is not behind it.
  const offset = date !== null ? date + 0.5 - wall : Math.max(0, (issuedAt ?? wall) - wall)
  const life = Math.max(0, expiresAt - (wall + offset))
  const most = life * share
  const early = refreshIn > 0 && refreshIn < life ? life - refreshIn
    : Math.min(advisory * (1 + jitter * chance), most)
  const late = Math.min(mandatory, most / 2, early)
  return { expiresAt, offset, life, monotonic, advisory: early, mandatory: late }
}

export function secondsLeft(held, wall, monotonic) {
  // One clock may jump, the other stop while the machine sleeps.
  return Math.min(held.life - (monotonic - held.monotonic), held.expiresAt - (wall + held.offset))
}

export function judge(held, wall, monotonic) {
  const left = secondsLeft(held, wall, monotonic)
  return left <= 0 ? 'expired' : left < held.mandatory ? 'mandatory'
    : left < held.advisory ? 'advisory' : 'fresh'
}

export const createSession = (options) => new Session(options)

export class SignInError extends Error {
  name = 'SignInError'
  constructor({ status, headers }, body) {
    super(body?.error_description ?? `the server answered ${status}`)
    this.status = status
    this.code = body?.error ?? ''
    this.retryAfter = Number(headers.get('retry-after')) || 0
  }
}

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds))

const bearer = (token) => (token ? [['authorization', `Bearer ${token}`]] : [])

// An abort ends the wait, not the refresh.
const orAborted = (promise, signal) => Promise.race([promise, new Promise((_, leave) => {
  signal?.throwIfAborted()
  if (signal) signal.onabort = () => leave(signal.reason)
})])

function claimsOf(token) {
  const text = atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))
  const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0))))
  if (!Number.isFinite(claims.exp)) throw new TypeError('the access token has no exp')
  return claims
}

export class Session extends EventTarget {
  #options = {
    refreshUrl: '/refresh', loginUrl: '/login', logoutUrl: '/logout', logoutAllUrl: '/logout-all',
    origins: [], name: 'session', settings: {}, ending: 300, chance: Math.random,
    wall: () => Date.now() / 1000, monotonic: () => performance.now() / 1000,
  }
  #origins
  #token = ''
  #claims = {}
  #held = null
  #sequence = -1
  #over = '' // why there is no session
  #overId = '' // late messages about it are dropped
  #era = 0 // responses to an earlier session are dropped
  #login = null // the latest one
  #flight = null
  #failures = 0
  #retryAt = 0
  #channel = null
  #hasPeers = false
  #busyUntil = 0
  #claim = 2
  #heard = () => {}
  #hasWarned = false
  #timers = []
  #closing = new AbortController()

  constructor(options) {
    super()
    Object.assign(this.#options, options)
    this.#origins = [location.origin, ...this.#options.origins]
    this.#options.name = `linqi:${this.#options.name}`
    if (globalThis.BroadcastChannel) {
      this.#channel = new BroadcastChannel(this.#options.name)
      this.#channel.onmessage = ({ data }) => this.#hear(data)
      this.#say({ kind: 'ask' })
    }
    const wake = () => {
      this.#retryAt = 0
      if (this.#held && globalThis.document?.visibilityState !== 'hidden') this.#look()
    }
    const { signal } = this.#closing
    globalThis.document?.addEventListener('visibilitychange', wake, { signal })
    globalThis.addEventListener('online', wake, { signal })
  }

  get state() {
    const { wall, monotonic } = this.#options
    const { life = 0, advisory = 0, mandatory = 0 } = this.#held ?? {}
    const { sub = '', sid = '', jti = '', session_end: endsAt = null } = this.#claims
    return {
      isSignedIn: !!this.#held, subject: sub, sessionId: sid, tokenId: jti,
      sequence: this.#sequence, verdict: this.#verdict(), life, advisory, mandatory, endsAt,
      left: this.#held ? Math.max(0, secondsLeft(this.#held, wall(), monotonic())) : 0,
    }
  }

  async fetch(input, init) {
    const request = new Request(input, init)
    if (!this.owns(request.url) || request.headers.has('authorization')) return fetch(request)
    const again = init?.quiet || init?.body instanceof ReadableStream ? null : request.clone()
    let sent = request
    return this.exchange((headers) => {
      headers.forEach(([name, value]) => sent.headers.set(name, value))
      const response = fetch(sent)
      sent = again
      return response
    }, { signal: request.signal, quiet: init?.quiet, once: !again })
  }

  owns(url) {
    return this.#origins.includes(new URL(url, location).origin)
  }

  async exchange(send, { signal, quiet, once } = {}) {
    if (quiet) return send(this.#quietly())
    const token = await orAborted(this.token(), signal)
    const era = this.#era
    const response = await this.#send(send, token)
    const isRefused = response.status === 401 && this.owns(response.url)
      && response.headers.get('www-authenticate')?.includes('error="invalid_token"')
    if (once || !token || !isRefused) return response
    const next = await orAborted(this.token(token).catch(() => ''), signal)
    // Never repeats one user's request as another user.
    return next && next !== token && era === this.#era ? this.#send(send, next) : response
  }

  #quietly() {
    const { quietHeader } = this.#options
    if (this.#verdict() === 'expired') {
      throw Object.assign(new Error('the access token has expired'), { code: 'quiet_expired' })
    }
    return [...bearer(this.#token), ...(quietHeader ? [[quietHeader, '1']] : [])]
  }

  async token(refused) {
    const { refreshUrl, monotonic } = this.#options
    for (let turn = 0; turn < 3 && !this.#over; turn += 1) {
      const verdict = this.#token === refused ? 'expired' : this.#verdict()
      const mayTry = refreshUrl && (this.#flight || monotonic() >= this.#retryAt)
      if (verdict === 'fresh') break
      if (verdict === 'advisory') {
        if (mayTry) this.#renew(false).catch(() => {})
        break
      }
      if (mayTry) {
        await this.#renew(true)
      } else if (verdict === 'mandatory') {
        break // still valid
      } else if (refreshUrl) {
        throw new TypeError('the session cannot be refreshed: the server is unavailable')
      } else if (!(await this.#news(this.#token))) {
        this.#end(refused ? 'refused' : 'expired', true)
      }
    }
    return this.#token
  }

  async signIn(fields) {
    while (this.#flight) await this.#flight.catch(() => {})
    const login = this.#login = this.#call(this.#options.loginUrl, {
      headers: { 'content-type': 'application/json' }, body: JSON.stringify(fields),
    })
    // No refresh meanwhile.
    this.#flight = login.catch(() => {}).finally(() => { this.#flight = null })
    const { response, body } = await login
    if (!response.ok) throw new SignInError(response, body)
    if (login === this.#login) this.start(body, response.headers.get('date'))
  }

  start(answer, date = null) {
    this.#login = null
    this.#era += 1
    if (!this.#take(answer, date, 'login')) throw new TypeError('the access token has expired')
  }

  async signOut({ everywhere = false } = {}) {
    const { refreshUrl, logoutUrl, logoutAllUrl } = this.#options
    if (!this.#held) await this.#news('')
    const token = everywhere ? await this.token().catch(() => '') : this.#token
    this.#login = null
    this.#era += 1
    this.#end('signed out', true)
    const { response } = await this.#call(everywhere ? logoutAllUrl : logoutUrl, {
      headers: token ? { authorization: `Bearer ${token}` } : {},
      body: refreshUrl || everywhere ? undefined : new URLSearchParams({ token }),
    })
    if (!response.ok) throw new TypeError(`the server answered the sign-out ${response.status}`)
  }

  async refresh() {
    if (this.#options.refreshUrl && !this.#over) await this.#renew(true)
  }

  close() {
    this.#closing.abort()
    this.#channel?.close()
    this.#channel = null
    this.#timers.forEach(clearTimeout)
  }

  #verdict() {
    const { wall, monotonic } = this.#options
    return this.#held ? judge(this.#held, wall(), monotonic()) : 'expired'
  }

  #look() {
    this.token().catch(() => {})
  }

  async #send(send, token) {
    const era = this.#era
    const response = await send(bearer(token))
    const successor = response.headers.get('x-refresh-token')
    // A redirect may lead elsewhere.
    if (token && successor && era === this.#era && this.owns(response.url)) {
      const answer = { access_token: successor, sequence: this.#sequence }
      this.#take(answer, response.headers.get('date'), 'server')
    }
    return response
  }

  async #call(url, { headers, body: sent } = {}) {
    const delivery = this.#options.refreshUrl ? { 'x-token-delivery': 'cookie' } : {}
    const response = await fetch(url, {
      method: 'POST', credentials: 'include', cache: 'no-store', redirect: 'error', body: sent,
      headers: { ...delivery, ...headers }, signal: AbortSignal.timeout(TIMEOUT),
    })
    const body = await response.json().catch((error) => {
      if (error.name !== 'SyntaxError') throw error // the response was cut
    })
    return { response, body }
  }

  #renew(mustWait) {
    this.#flight ??= this.#lead(mustWait).finally(() => { this.#flight = null })
    return this.#flight
  }

  async #lead(mustWait) {
    const { name, chance, monotonic } = this.#options
    const before = this.#token
    const era = this.#era
    const work = async (lock) => {
      if (lock === null) return // another tab refreshes
      if (this.#hasPeers || !before) await this.#news(before)
      if (era === this.#era && this.#token === before) await this.#post(era)
    }
    if (navigator.locks) {
      // A frozen tab keeps its lock.
      const options = mustWait ? { signal: AbortSignal.timeout(TIMEOUT) } : { ifAvailable: true }
      return navigator.locks.request(`${name}:refresh`, options, work).catch(work)
    }
    // Without a lock the lowest claim goes first.
    if (this.#busyUntil <= monotonic()) {
      this.#claim = chance()
      this.#say({ kind: 'busy', claim: this.#claim })
      await this.#news(before)
    }
    const wait = (this.#busyUntil - monotonic()) * 1000
    if (wait > 0) await this.#news(before, wait)
    this.#claim = 2
    return work()
  }

  async #post(era) {
    const { refreshUrl, chance, monotonic } = this.#options
    let answer = {}
    // Offline, localhost still answers.
    for (const pause of navigator.onLine === false ? [0] : TRIES) {
      await sleep(pause)
      answer = await this.#call(refreshUrl).catch(() => ({}))
      if (answer.response && !UNAVAILABLE.includes(answer.response.status)) break
    }
    if (era !== this.#era) return
    const { response, body } = answer
    if (response?.ok && this.#take(body, response.headers.get('date'), 'refresh')) return
    if ([400, 401].includes(response?.status) && body?.error === 'invalid_grant') {
      this.#end('refused', true)
      return
    }
    const backoff = Math.min(30, 2 ** this.#failures++) * (0.5 + chance() / 2)
    const asked = Math.min(60, Number(response?.headers.get('retry-after')) || 0)
    this.#retryAt = monotonic() + Math.max(backoff, asked)
  }

  // Ask the other tabs for a newer token than `before`.
  async #news(before, milliseconds = NEWS) {
    if (!this.#channel) return false
    this.#say({ kind: 'ask' })
    await Promise.race([new Promise((done) => { this.#heard = done }), sleep(milliseconds)])
    return this.#token !== before
  }

  // False if the response is unusable.
  #take(answer, date, by) {
    try {
      const { access_token: token, sequence = -1, refresh_in: refreshIn } = answer
      const claims = claimsOf(token)
      const { wall, monotonic, chance, settings } = this.#options
      const held = hold({
        issuedAt: claims.iat, expiresAt: claims.exp, wall: wall(), monotonic: monotonic(),
        date: Date.parse(date) / 1000 || null, refreshIn, chance: chance(), settings,
      })
      return this.#keep({ token, claims, sequence, held, by })
    } catch (error) {
      if (by === 'login') throw error
      return false
    }
  }

  #keep({ token, claims, sequence, held, by }) {
    const follows = this.#held && by !== 'login'
    const isSame = follows && claims.sid === this.#claims.sid
    const isOlder = follows && (!isSame ? claims.iat < this.#claims.iat
      : sequence === this.#sequence ? claims.exp < this.#claims.exp : sequence < this.#sequence)
    if (isOlder || token === this.#token) return held.life > 0
    if (held.life <= 0 || (by === 'server' && !isSame)) return false
    // A successor keeps the threshold.
    if (by === 'server' && this.#options.refreshUrl) {
      held.advisory = Math.max(held.mandatory, this.#held.advisory)
    }
    if (!isSame) this.#era += 1
    this.#token = token
    this.#claims = claims
    this.#sequence = sequence
    this.#held = held
    this.#over = ''
    this.#failures = this.#retryAt = this.#busyUntil = 0
    if (by !== 'tab') this.#tell()
    this.#watch(isSame)
    this.#emit(isSame ? 'renewed' : 'signedin', { by, ...this.state })
    return true
  }

  #end(reason, isOurs) {
    this.#over = 'absent'
    if (this.#held) {
      this.#era += 1
      const { sid } = this.#claims
      this.#over = reason
      this.#overId = sid
      if (isOurs) this.#say({ kind: 'out', reason, sid })
    }
    this.#token = ''
    this.#claims = {}
    this.#held = null
    this.#sequence = -1
    this.#watch()
    this.#emit('signedout', { reason: this.#over, elsewhere: !isOurs })
  }

  #emit(kind, detail) {
    this.#heard()
    this.dispatchEvent(new CustomEvent(kind, { detail }))
  }

  #say(message) {
    this.#channel?.postMessage(message)
  }

  #tell() {
    this.#say({
      kind: 'token', token: this.#token, sequence: this.#sequence, held: this.#held,
    })
  }

  #hear({ kind, claim, token, sequence, held, reason, sid }) {
    const { wall, monotonic } = this.#options
    this.#hasPeers = true
    if (kind === 'ask' && this.#held) this.#tell()
    if (kind === 'busy' && claim < this.#claim) this.#busyUntil = monotonic() + TIMEOUT / 1000
    if (kind === 'out' && sid === this.#claims.sid) this.#end(reason, false)
    if (kind !== 'token') return
    const claims = claimsOf(token)
    if (claims.sid === this.#overId) return
    // Each tab has a monotonic clock of its own.
    const life = Math.max(0, held.expiresAt - wall() - held.offset)
    this.#keep({
      token, claims, sequence, held: { ...held, life, monotonic: monotonic() }, by: 'tab',
    })
  }

  #watch(isSame) {
    const { wall, ending, refreshUrl } = this.#options
    this.#timers.forEach(clearTimeout)
    this.#timers = []
    if (!isSame) this.#hasWarned = false
    if (!this.#held) return
    const now = wall() + this.#held.offset
    const later = (instant, act) => {
      const wait = Math.max(0, instant - now) * 1000
      if (instant) this.#timers.push(setTimeout(act, Math.min(wait + 10, LONGEST_TIMER)))
    }
    const { exp, session_end: end = NaN } = this.#claims
    if (!this.#hasWarned) {
      later(end - ending, () => {
        const left = end - wall() - this.#held.offset
        if (left > ending) return this.#watch()
        this.#hasWarned = true
        this.#emit('ending', { left })
      })
    }
    if (!refreshUrl) later(exp, () => this.#look())
  }
}
