"""The back-test: the bot's own decisions on recorded candles, without sockets, tasks or waiting.

The desk is the one that trades live (`anchorwatch.machine.desk`), started through every stage and given
its events one at a time under the file's time. What stands in for the venue is `exchange.Exchange`, which
shares its prices, its book and its funding with the embedded exchange and is held to its trades by a test.
"""
