-- give: places are free again, or no longer wanted.
--
-- ARGV  6… ids
-- Does      forgets them, held or waiting, and grants what has become free.
-- Refuses   nothing.
-- Repeating is harmless.
-- Returns   '0'

for i = 6, #ARGV do
  redis.call('ZREM', HELD, ARGV[i])
  redis.call('ZREM', WAITING, ARGV[i])
  redis.call('ZREM', PATIENCE, ARGV[i])
end
sweep()
grant()
return answer('0')
