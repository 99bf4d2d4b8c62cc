// 整个前端共用一个会话：登录、请求、退出都经过它。
import { createSession } from '/js/linqi.js'

export const session = createSession({ refreshUrl: '/refresh' })

session.addEventListener('signedout', ({ detail }) => {
  // reason: refused（被踢、改密码、过期）、signed out（主动退出）、absent（还没登录过）
  document.title = `请登录（${detail.reason}）`
})

export function get(path) {
  return session.fetch(path) // 和 fetch 一样用，token 由它带上
}
