# Give freed blocks back to the disk, so that the image holds no deleted data.
sync
fstrim -a 2>/dev/null || fstrim / 2>/dev/null
