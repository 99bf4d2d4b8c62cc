// An OpenID provider to try it with: any name signs in, with any password. Not for production.
import Provider from 'oidc-provider'

const url = 'http://127.0.0.1:3000'
const scope = 'notes:read notes:write'
const provider = new Provider(url, {
  scopes: ['openid', 'offline_access', ...scope.split(' ')],
  pkce: { required: () => true },
  // A client registers with the scopes of its first request, and may later ask for more.
  extraClientMetadata: {
    properties: ['any_scope'],
    validator: (context, key, value, metadata) => { delete metadata.scope },
  },
  features: {
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (context, resource) => ({
        scope, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 600,
      }),
      useGrantedResource: () => true,
    },
  },
})
provider.listen(new URL(url).port, '127.0.0.1')
