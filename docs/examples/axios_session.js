// An axios instance whose requests carry a valid access token.
import axios from 'axios'
import { createSession } from 'linqi'
import { attach } from 'linqi/axios'

export const session = createSession({ refreshUrl: '/refresh' })
export const api = axios.create({ timeout: 5000 })
attach(api, session, axios)
