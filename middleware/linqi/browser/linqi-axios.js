// Lets an axios instance send its requests with a session of linqi.js; see linqi-axios.d.ts.

// axios does not tell where its `fetch` was redirected to, and keeps what it made of each `fetch`.
const urls = new WeakMap()
const watching = new WeakMap()

function watched(real) {
  if (!watching.has(real)) {
    watching.set(real, async (input, init) => {
      const response = await real(input, init)
      if (input instanceof Request) urls.set(input, response.url)
      return response
    })
  }
  return watching.get(real)
}

const finalUrl = ({ request }) => request?.responseURL || urls.get(request) || 'data:,'

// A signal of our own: the caller may have a handler on the one given.
const follow = (signal) => signal && new Request(location, { signal }).signal

// What `Session.exchange` reads of a response; `settle` gives it to axios, or rejects.
const outcome = (response, settle) => ({
  status: response.status,
  url: finalUrl(response),
  headers: { get: (name) => response.headers?.get?.(name) ?? null },
  settle,
})

async function send(adapter, config, headers) {
  const sent = { ...config, headers: config.headers.concat() }
  headers.forEach(([name, value]) => sent.headers.set(name, value))
  try {
    const response = await adapter(sent)
    return outcome(response, () => response)
  } catch (error) {
    if (!error.response) throw error
    return outcome(error.response, () => { throw error })
  }
}

export function attach(instance, session, { getAdapter } = instance) {
  if (typeof getAdapter !== 'function') {
    throw new TypeError('attach(instance, session, axios): an instance needs axios itself as well')
  }
  const around = (adapter) => async (config) => {
    const url = instance.getUri(config)
    if (!session.owns(url) || config.headers.has('authorization')) return adapter(config)
    const answer = await session.exchange((headers) => send(adapter, config, headers), {
      signal: follow(config.signal),
      quiet: config.quiet,
      once: config.data instanceof ReadableStream,
    })
    return answer.settle()
  }
  const number = instance.interceptors.request.use((config) => {
    config.env = { ...config.env, fetch: watched(config.env?.fetch ?? globalThis.fetch) }
    config.adapter = around(getAdapter(config.adapter ?? instance.defaults.adapter, config))
    return config
  })
  return () => instance.interceptors.request.eject(number)
}
