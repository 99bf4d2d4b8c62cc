// The page: the access token is in memory, the refresh token in a cookie that no script can read.
import { createSession } from '/js/linqi.js'

const show = (id, isShown) => { document.getElementById(id).hidden = !isShown }
const write = (id, text) => { document.getElementById(id).textContent = text }

export const session = createSession({
  loginUrl: '/auth/login', refreshUrl: '/auth/refresh',
  logoutUrl: '/auth/logout', logoutAllUrl: '/auth/logout-all',
})

// Both events also come when another tab signed in or out.
session.addEventListener('signedin', start)
session.addEventListener('signedout', () => {
  show('app', false)
  show('login', true)
})

document.getElementById('login').addEventListener('submit', async (event) => {
  event.preventDefault()
  write('fault', '')
  const fields = Object.fromEntries(new FormData(event.target))
  await session.signIn(fields).catch((error) => write('fault', error.message))
  event.target.reset()
})

document.getElementById('out').addEventListener('click', () => session.signOut())

export async function start() {
  const response = await session.fetch('/api/notes') // refreshes first where that is due
  if (!response.ok) return
  const { user, notes } = await response.json()
  write('user', user)
  document.getElementById('notes').replaceChildren(...notes.map((text) => {
    const item = document.createElement('li')
    item.textContent = text // never innerHTML with what users typed
    return item
  }))
  show('login', false)
  show('app', true)
  follow()
}

let isFollowing = false
async function follow() {
  if (isFollowing) return
  isFollowing = true
  while (session.state.isSignedIn) { // a stream ends with its token; the next one has a new one
    // Quiet: a page that only listens does not keep the session of an absent user alive.
    const response = await session.fetch('/api/events', { quiet: true }).catch(() => null)
    const reader = response?.ok ? response.body.pipeThrough(new TextDecoderStream()).getReader() : null
    for (let part = await read(reader); part; part = await read(reader)) {
      write('seconds', part.match(/data: (\d+)/)?.[1] ?? '')
    }
    await new Promise((done) => setTimeout(done, 500))
  }
  isFollowing = false
}

const read = (reader) => reader?.read().then(({ value }) => value).catch(() => null)

start() // after a reload: one refresh, or the token of another tab
