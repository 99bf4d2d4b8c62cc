// 一个页面同时发十个请求：token 过期了也只刷新一次，十个都成功。
import { get, session } from './session.js'

export async function signIn(username, password) {
  await session.signIn({ username, password }) // 密码不对时抛 SignInError
}

export async function loadPage() {
  const answers = await Promise.all(Array.from({ length: 10 }, () => get('/me')))
  return answers.map((answer) => answer.status)
}
