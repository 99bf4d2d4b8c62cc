// 没有 cookie 的环境（小程序、React Native）：refresh token 自己存，并发只刷新一次。
// request：({ url, method, data, headers }) => Promise<{ status, data }>，用 wx.request 或 fetch 包一层
// storage：{ get(), set(value) }，同步读写，值是一个对象或 null
export function createMiniSession({ request, storage, base }) {
  const now = () => Date.now() / 1000
  let pair = storage.get()
  let refreshing = null

  function keep(next) {
    pair = next && { ...next, due: now() + next.refresh_in }
    storage.set(pair)
  }

  async function signIn(username, password) {
    const data = { username, password }
    const answer = await request({ url: `${base}/login`, method: 'POST', data })
    if (answer.status !== 200) throw new Error(`登录失败：${answer.status}`)
    keep(answer.data)
  }

  async function redeem() {
    const data = { refresh_token: pair.refresh_token }
    const answer = await request({ url: `${base}/refresh`, method: 'POST', data })
    if (answer.status === 200) keep(answer.data)
    else if (answer.status === 400) keep(null) // 只有 400 表示会话结束；503 和断网以后再试
    if (answer.status !== 200) throw new Error(`刷新失败：${answer.status}`)
  }

  function refresh() {
    refreshing ??= redeem().finally(() => { refreshing = null }) // 大家等同一个 Promise
    return refreshing
  }

  async function call(path, options = {}) {
    if (!pair) throw new Error('请登录')
    if (now() >= pair.due) {
      await refresh().catch((error) => { if (!pair) throw error }) // 旧 token 也许还能用
    }
    const used = pair.access_token
    const send = () => request({
      method: 'GET', ...options, url: base + path,
      headers: { ...options.headers, Authorization: `Bearer ${pair.access_token}` },
    })
    const answer = await send()
    if (answer.status !== 401) return answer
    if (pair?.access_token === used) await refresh() // 别人已经刷新过，就直接重试
    if (!pair) throw new Error('请登录')
    return send()
  }

  return { signIn, call, get isSignedIn() { return pair !== null } }
}
