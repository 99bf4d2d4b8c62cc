// Sends the requests of an axios instance with a session of linqi.js.
import type { Session } from './linqi.js'

/** What is used of axios 1.7 or newer, or of an instance of it. */
export interface AxiosLike {
  defaults: { adapter?: unknown }
  interceptors: {
    request: {
      use(onFulfilled: (config: any) => any): number
      eject(id: number): void
    }
  }
  getUri(config?: any): string
}

/**
 * Adds a request interceptor to `instance`: a request to the page's origin or one of `origins`
 * that has no Authorization header is sent as `session.fetch` sends it, whatever its adapter (xhr,
 * fetch or a function). The refresh is shared with `session.fetch` and the other tabs. After a 401
 * with `invalid_token` the request is sent once more with the same body, before `validateStatus`
 * and the response interceptors see the response. `quiet: true` in a request's config is that of
 * `session.fetch`; write `{ quiet: true } as AxiosRequestConfig`. An abort ends the wait for a refresh, but not the refresh.
 *
 * Throws TypeError if `instance` was made by `axios.create` and `axios` is not given, whose
 * `getAdapter` finds the adapter.
 *
 * Returns a function that removes the interceptor.
 */
export function attach(
  instance: AxiosLike,
  session: Session,
  axios?: { getAdapter(adapters: any, config?: any): (config: any) => Promise<any> },
): () => void
