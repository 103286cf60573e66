-- Trimming a session's output by whole ended turns, oldest first; stands behind shared.lua.
--
-- An element of `kept` is `number ended_ms from to end`: a turn, the time (ms) of its end, the bytes of audio in this session
-- before and with it, and the id of its `end` entry. Turns end in the order of their numbers.
--
-- What goes    turns that ended more than output_ms ago, and as many as it takes to have no more than output_bytes.
-- What stays   for held_ms, what has just ended (a listener at the live edge is about to read it) and what a listener has not
--              read who said within that time where it is; but no more than held_bytes in all. The turn that ended last stays
--              in any case, and one that has not ended is not in the list.
--              Of the last turn that goes, the `end` entry stays: a listener that has heard it to there, and comes back, finds
--              its place and has lost nothing.
-- A listener finds out by the holes in the ids; `first` of the session stays what it is, so that one that begins at the
-- beginning is told of the loss, too.

-- Bytes that a turn without audio counts: its entries, and the list's element, are not for nothing either.
local ENTRY_BYTES = 256

local function kept_at(index)
  local element = redis.call('LINDEX', KEPT, index)
  if not element then return nil end
  local number, ended_ms, from, to, id = element:match('^(%d+) (%d+) (%d+) (%d+) (%d+%-%d+)$')
  return {number = tonumber(number), ended_ms = tonumber(ended_ms), from = tonumber(from), to = tonumber(to), id = id}
end

local function is_before(a, b)
  local major_a, seq_a = a:match('^(%d+)%-(%d+)$')
  local major_b, seq_b = b:match('^(%d+)%-(%d+)$')
  if major_a ~= major_b then return tonumber(major_a) < tonumber(major_b) end
  return tonumber(seq_a) < tonumber(seq_b)
end

-- The place of the listener that is furthest behind, of those that have spoken since then; nil if nobody has.
local function furthest_behind(since_ms)
  local lowest
  for _, report in ipairs(redis.call('HVALS', CURSORS)) do
    local place, at_ms = report:match('^(%d+%-%d+) (%d+)$')
    if tonumber(at_ms) >= since_ms and not (lowest and is_before(lowest, place)) then lowest = place end
  end
  return lowest
end

local function trim(bounds, time_ms)
  local newest, oldest, listener, trimmed = kept_at(-1), kept_at(0), nil, nil
  while oldest.number < newest.number do
    local bytes = newest.to - oldest.from
    if bytes <= bounds.output_bytes and time_ms - oldest.ended_ms < bounds.output_ms then break end
    if bytes <= bounds.held_bytes then
      if time_ms - oldest.ended_ms < bounds.held_ms then break end
      listener = listener or furthest_behind(time_ms - bounds.held_ms)
      if listener and is_before(listener, oldest.id) then break end
    end
    redis.call('LPOP', KEPT)
    trimmed, oldest = oldest, kept_at(0)
  end
  if trimmed then redis.call('XTRIM', AUDIO, 'MINID', trimmed.id) end
end

-- A turn's `end` entry has been written: it is one of those that are kept, until it is trimmed.
local function keep(fields, id, samples)
  local newest, time_ms = kept_at(-1), now_ms()
  local from = newest and newest.to or 0
  local to = from + ENTRY_BYTES + samples * (fields.sample_bytes or 0)
  redis.call('RPUSH', KEPT, table.concat({text(fields.number), text(time_ms), text(from), text(to), id}, ' '))
  prolong(KEPT, fields.retention_ms)
  trim(fields, time_ms)
end
