-- Reads a part of the index KEYS[1] of create.lua, by scores.
-- ARGV: the lowest and the highest score, how many at most. Returns ids and scores in turn.
return redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES', 'LIMIT', 0, ARGV[3])
