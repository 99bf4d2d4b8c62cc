// The demo page: it has two sessions and shows the selected one.
import { createSession, SignInError } from '/linqi.js'
import { drawRing, seconds } from '/ring.js'

const element = (id) => document.getElementById(id)
const { buffer_seconds: buffer } = await (await fetch('/settings.json')).json()
const MODES = {
  dual: {
    path: '/auth/me',
    session: createSession({
      name: 'dual', refreshUrl: '/auth/refresh', loginUrl: '/auth/login',
      logoutUrl: '/auth/logout', logoutAllUrl: '/auth/logout-all',
    }),
  },
  sliding: {
    path: '/me',
    session: createSession({
      name: 'sliding', refreshUrl: null, loginUrl: '/login',
      logoutUrl: '/logout', logoutAllUrl: '/auth/logout-all',
      settings: { advisory: buffer, mandatory: 0, share: 0.9, jitter: 0 },
    }),
  },
}
const BY = {
  refresh: 'this tab refreshed', server: 'the answer brought a successor',
  tab: 'another tab renewed', login: 'signed in',
}
const LINES = 60
let mode = location.search === '?sliding' ? 'sliding' : 'dual'
let isBusy = false

for (const [name, it] of Object.entries(MODES)) {
  Object.assign(it, { renewals: 0, requests: 0, refused: 0, before: null })
  it.session.addEventListener('signedin', ({ detail }) => {
    it.renewals = 0
    it.before = { ...detail, at: performance.now() }
    say(name, `${detail.subject} signed in${detail.by === 'tab' ? ' in another tab' : ''}`, 'good')
    show()
  })
  it.session.addEventListener('renewed', ({ detail }) => {
    it.renewals += 1
    const left = lastLeft(it)
    say(name, `${BY[detail.by]} with ${seconds(left)} left; the new token lives ${seconds(detail.left)}`,
      '', { life: it.before.life, left })
    it.before = { ...detail, at: performance.now() }
    show()
  })
  it.session.addEventListener('ending', ({ detail }) => {
    say(name, `the session ends in ${seconds(detail.left)}, whatever is done`, 'bad')
  })
  it.session.addEventListener('signedout', ({ detail }) => {
    const why = { absent: '', refused: 'the server ended the session', expired: 'the token expired unused' }
    const text = why[detail.reason] ?? detail.reason
    if (text) say(name, `${text}${detail.elsewhere ? ', in another tab' : ''}`, 'bad')
    show()
  })
}

/** Return the seconds that the previous token still had. */
function lastLeft({ before }) {
  return Math.max(0, before.left - (performance.now() - before.at) / 1000)
}

function say(name, text, kind = '', bar = null) {
  const line = document.createElement('li')
  const time = document.createElement('time')
  const words = document.createElement('span')
  time.textContent = new Date().toLocaleTimeString('en-GB')
  words.textContent = name === mode ? text : `${name === 'dual' ? 'client' : 'server'} judged: ${text}`
  if (kind) line.className = kind
  line.append(time, words)
  if (bar) line.append(drawBar(bar))
  element('log').prepend(line)
  while (element('log').children.length > LINES) element('log').lastChild.remove()
}

/** Draw how much of a token's life was used when it was renewed. */
function drawBar({ life, left }) {
  const make = (name, attributes) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name)
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value))
    return made
  }
  const spent = life > 0 ? 100 * (1 - Math.min(1, left / life)) : 100
  const bar = make('svg', { viewBox: '0 0 100 4', preserveAspectRatio: 'none', 'aria-hidden': 'true' })
  bar.append(
    make('rect', { class: 'spent', width: spent, height: 4 }),
    make('rect', { class: 'saved', x: spent, width: 100 - spent, height: 4 }),
  )
  return bar
}

function show() {
  const it = MODES[mode]
  const { state } = it.session
  document.querySelector(`input[value=${mode}]`).checked = true
  element('signin').hidden = state.isSignedIn
  for (const id of ['session', 'acts', 'traffic']) element(id).hidden = !state.isSignedIn
  for (const only of document.querySelectorAll('.dual')) only.hidden = mode !== 'dual'
  element('subject').textContent = state.subject
  element('token-id').textContent = state.tokenId.slice(0, 8)
  element('renewals').textContent = it.renewals
  element('requests').textContent = it.requests
  element('refused').textContent = it.refused
  tick()
}

function tick() {
  const { state } = MODES[mode].session
  if (!state.isSignedIn) return
  drawRing(state)
  const ends = state.endsAt === null ? NaN : state.endsAt - Date.now() / 1000
  element('ends').textContent = Number.isFinite(ends) ? `in ${seconds(Math.max(0, ends))}` : 'unknown'
}

async function ask(count) {
  const it = MODES[mode]
  const answers = await Promise.all(Array.from({ length: count }, async () => {
    try {
      return await it.session.fetch(it.path)
    } catch {
      return null // the server is unavailable; the next request tries again
    }
  }))
  const refused = answers.filter((answer) => answer?.status === 401).length
  it.requests += count
  it.refused += refused
  if (count > 1) {
    const successors = new Set(answers.map((answer) => answer?.headers.get('x-refresh-token')).filter(Boolean))
    const statuses = answers.map((answer) => answer?.status ?? 'no answer').join(', ')
    say(mode, `${count} requests at once: ${statuses}; ${successors.size} successor${successors.size === 1 ? '' : 's'}`)
  }
  show()
}

async function steal() {
  const { session } = MODES.dual
  const post = async (path) => {
    const answer = await fetch(path, { method: 'POST', headers: { 'x-token-delivery': 'cookie' } })
    return (await answer.json()).outcome
  }
  say('dual', `a thief copies the refresh token: ${await post('/auth/demo/steal')}`, 'bad')
  for (const turn of [1, 2]) {
    await session.refresh()
    say('dual', `you go on as usual: refresh ${turn} of 2`)
  }
  say('dual', `the thief presents the copy: ${await post('/auth/demo/replay')}`, 'bad')
  say('dual', 'a spent token can only be a copy, so the server ends the session, yours as well')
  await ask(1)
}

/** Run one action at a time, and show its error. */
function act(id, work) {
  element(id).addEventListener('click', async () => {
    if (isBusy) return
    isBusy = true
    element(id).disabled = true
    try {
      await work(MODES[mode].session)
    } catch (error) {
      say(mode, error.message, 'bad')
    } finally {
      isBusy = false
      element(id).disabled = false
      show()
    }
  })
}

act('five', () => ask(5))
act('refresh', (session) => session.refresh())
act('tab', () => { window.open(`/?${mode}`, '_blank', 'noopener') })
act('out', (session) => session.signOut())
act('everywhere', (session) => session.signOut({ everywhere: true }))
act('steal', steal)

element('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const fields = Object.fromEntries(new FormData(event.target))
  const button = event.target.querySelector('button')
  element('fault').textContent = ''
  button.disabled = true
  try {
    await MODES[mode].session.signIn(fields)
    event.target.reset()
    element('keep').focus()
  } catch (error) {
    const wait = error instanceof SignInError && error.retryAfter ? `; try again in ${seconds(error.retryAfter)}` : ''
    element('fault').textContent = error instanceof SignInError ? `${error.message}${wait}` : 'The server cannot be reached.'
    element('password').focus()
  } finally {
    button.disabled = false
  }
})
element('form').querySelector('button').disabled = false // before this, no listener handles the form
for (const radio of document.querySelectorAll('input[name=mode]')) {
  radio.addEventListener('change', () => {
    mode = radio.value
    history.replaceState(null, '', mode === 'dual' ? '/' : '/?sliding')
    show()
    if (!MODES[mode].session.state.isSignedIn) MODES[mode].session.token().catch(() => {})
  })
}
setInterval(tick, 250)
setInterval(() => {
  if (element('keep').checked && MODES[mode].session.state.isSignedIn && !isBusy) ask(1)
}, 1000)
show()
MODES[mode].session.token().then(show, show)
