-- renew: a worker renews its leases, and takes back none that another worker has.
--
-- KEYS  1 dispatch
-- ARGV  1 worker   2 … messages
-- Does      makes those messages that are in this worker's hands count as just delivered, however long ago that was.
-- Refuses   messages that are in another worker's hands, and those of turns that have ended: they are left as they are.
-- Repeating is harmless.
-- Returns   list of the messages that were renewed

local worker, asked, ours = ARGV[1], {}, {}
for i = 2, #ARGV do asked[ARGV[i]] = true end
for _, row in ipairs(redis.call('XPENDING', KEYS[1], 'workers', '-', '+', 100000, worker)) do
  if asked[row[1]] then table.insert(ours, row[1]) end
end
for i = 1, #ours, 1000 do -- Lua's stack has an end
  local some = {unpack(ours, i, math.min(i + 999, #ours))}
  table.insert(some, 'JUSTID')
  redis.call('XCLAIM', KEYS[1], 'workers', worker, 0, unpack(some))
end
return ours
