"""What a fitted decoder's output rests on: maps over regions or pixels; nothing is trained here."""
