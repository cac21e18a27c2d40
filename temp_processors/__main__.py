"""`python -m temp_processors` is the console command; `torchrun -m temp_processors` shares it out."""

from temp_processors.cli import main

if __name__ == "__main__":
    main()
