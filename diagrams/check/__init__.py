"""Explores the production bot, composed with a world that was written apart from it, until nothing new is found.

`production` steps the real ``bot.step``; `leg` says what surrounds one leg (venue, network,
journal, book, timers); `venue` and `network` are the rules of that world, `classification` the
desk's part in it, `process` the connections, the stages, the operator and the crash. `search`
composes them; `properties` says what must never be.
"""
