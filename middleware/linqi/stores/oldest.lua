-- Returns the id after which entries of the stream KEYS[1] may still concern valid tokens.
-- ARGV: the caller's Unix seconds; for how many seconds after its publication an entry may matter.
-- Ids are times of the server's clock, which may have been behind when an entry was added: if one of
-- the last 100 entries before the id was published too late for that, the id moves back. The order
-- of ids is that of publication, whatever the clock was.
local window = tonumber(ARGV[2])
local oldest = math.min(tonumber(redis.call('TIME')[1]), tonumber(ARGV[1])) - window
local published, step = oldest, window
while oldest > 0 do
  local id = string.format('%.0f', oldest * 1000 - 1) .. '-18446744073709551615'
  local may_matter = false
  for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], id, '-', 'COUNT', 100)) do
    local is_read, revocation = pcall(cjson.decode, entry[2][2])
    local at = is_read and type(revocation) == 'table' and tonumber(revocation.at)
    may_matter = may_matter or at and at > published
  end
  if not may_matter then
    return id
  end
  oldest, step = oldest - step, step * 2
end
return '0-0'
