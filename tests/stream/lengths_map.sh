#!/bin/sh
# length of word, TAB, word
tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z' | awk 'length { printf "%02d\t%s\n", length($0), $0 }'
