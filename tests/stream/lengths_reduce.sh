#!/bin/bash
# distinct words of each length
cut -f1,2 | sort -u | cut -f1 | uniq -c | while read -r count length; do
    printf '%s\t%s\n' "$length" "$count"
done
