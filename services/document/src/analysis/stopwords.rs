//! Words that carry grammar rather than content, for the languages whose keywords need them most.

/// Whether `word` (lower case) carries no content in `language` (ISO 639-1). For languages without a list,
/// words of at most three letters count as such.
pub fn is_stopword(word: &str, language: &str) -> bool {
    let list = match language {
        "en" => ENGLISH,
        "de" => GERMAN,
        "fr" => FRENCH,
        "es" => SPANISH,
        "it" => ITALIAN,
        "pt" => PORTUGUESE,
        "nl" => DUTCH,
        _ => return word.chars().count() <= 3,
    };
    // Elided articles: l'eau, d'abord, dell'arte.
    let word = match language {
        "fr" | "it" => word.split_once(['\'', '’']).map_or(word, |(_, rest)| rest),
        _ => word,
    };
    word.chars().count() < 2 || list.split_ascii_whitespace().any(|stop| stop == word)
}

const ENGLISH: &str = "a able about above across after afterwards again against all almost along already also although \
    always am among an and another any anybody anyone anything anywhere are al announced aren't around as at away back be became \
    because become becomes been before behind being below between beyond both but by came can can't cannot come \
    could couldn't did didn't different do does doesn't doing don't done down during each either else enough et etc even ever \
    every everyone everything few first for from further gave get gets getting give given go goes going gone got had \
    hadn't has hasn't have haven't having he he's hence her here hers herself him himself his how however i i'd i'll \
    i'm i've if in indeed instead into is isn't it it's its itself just keep kept last least less let like likely \
    made make makes making many may maybe me might mine more moreover most much multiple must my myself near nearly need \
    neither never new next no nobody none nor not nothing now of off often on once one ones only onto or other others \
    otherwise our ours ourselves out over own per perhaps put quite rather really released s said same say says see seem \
    seemed seems seen several shall she should shouldn't since so some somebody someone something sometimes soon \
    still such t take taken than that that's the their theirs them themselves then there there's therefore these \
    they they're this those though three through throughout thus to together too toward towards two under until up \
    upon us use used uses using usually very via was wasn't way we we're well went were weren't what when where \
    whereas whether which while who whole whom whose why will with within without won't would wouldn't yes yet you \
    you're your yours yourself";

const GERMAN: &str = "ab aber alle allem allen aller alles als also am an andere anderen anderer anderes auch auf aus \
    außer außerdem bald bei beim beide beiden bereits bevor bis bisher bzw da dabei dadurch dafür dagegen daher dahin \
    damals damit danach daneben dann daran darauf daraus darf darin darum darunter darüber das dass davon davor dazu \
    dein deine dem den denen denn dennoch der deren des deshalb dessen die dies diese dieselbe diesem diesen dieser \
    dieses doch dort du durch dürfen ebenfalls ebenso eigentlich ein eine einem einen einer eines einfach einige \
    einigen einmal er es etwa etwas euch euer für ganz gar gegen gegenüber gehen geht gemacht gern gewesen gibt haben \
    hat hatte hatten hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im immer in indem innerhalb \
    ins ist ja je jede jedem jeden jeder jedes jedoch jene jetzt kann kein keine keinem keinen keiner kommen kommt \
    können könnte konnte lassen machen macht man manche mehr mein meine meist mich mir mit muss müssen nach nachdem \
    neben nicht nichts nie noch nun nur ob oben oder oft ohne schon sehr sei sein seine seinem seinen seiner seit \
    selbst sich sie sind so sobald sodass sogar solche sollen sollte sollten somit sondern sonst soweit sowie statt \
    trotz um und uns unser unsere unter viel viele vielen vom von vor war waren warum was weg wegen weil weiter \
    weitere weiteren welche welchem welchen welcher wem wen wenig wenige wenn wer werde werden weshalb wie wieder \
    will wir wird wo wobei wodurch wollen worden wurde wurden während wäre würde würden zu zudem zum zur zwar zwei \
    zwischen zusammen über übrigens";

const FRENCH: &str = "ai aie ainsi alors après as au aucun aucune aujourd'hui auprès auquel aura aurait aussi autre \
    autres aux avaient avait avant avec avoir avons ayant beaucoup bien c car ce ceci cela celle celles celui cependant \
    certains ces cet cette ceux chaque chez comme comment contre d dans de déjà depuis dernier des dès deux devant \
    doit donc dont du durant elle elles en encore enfin entre es est et étaient était étant été être eu eux fait faire \
    fois font furent fut grand hors ici il ils j je jusqu l la là laquelle le lequel les lesquels leur leurs lors \
    lorsque lui m ma mais mal malgré me même mêmes mes mieux moi moins mon n ne ni non nos notre nous on ont or ou où \
    par parce pas peu peut peuvent plus plusieurs pour pourquoi pouvait près puis quand que quel quelle quelles \
    quelque quelques quels qui quoi quoique s sa sans se selon sera seront ses seulement si sien soit son sont sous \
    souvent suis sur t ta tandis tant te tel telle tels tes toi ton toujours tous tout toute toutes très trop tu un \
    une vers voici voilà vos votre vous y ça";

const SPANISH: &str = "a además al algo algún alguna algunas alguno algunos ambos ante antes aquel aquella aquellas \
    aquellos aquí así aun aún aunque bajo bastante bien cada casi como cómo con contra cual cuál cuales cuando cuándo \
    cuanto da dan de debe deben del demás dentro desde después donde dónde dos durante e él el ella ellas ello ellos \
    en entonces entre era eran eres es esa esas ese eso esos esta está están estaba estado estar estas este esto estos \
    fin fue fueron ha había habían haber hace hacer hacia han hasta hay he incluso ir junto la las le les lo los luego \
    más me mediante menos mi mientras mis mismo mismos mucho muchos muy nada ni no nos nosotros nuestra nuestro o os \
    otra otras otro otros para parte pero poco por porque pueda puede pueden pues que qué quien quién quienes se sea \
    según ser será si sí sido siempre sin sino sobre solo sólo son su sus tal también tampoco tan tanto te tener tenía \
    ti tiene tienen toda todas todavía todo todos tras tu tus un una unas uno unos usted va van varios y ya yo";

const ITALIAN: &str = "a ad agli ai al alcuni alcuno all alla alle allo allora altra altre altri altro anche ancora \
    avere aveva c che chi ci cioè come con contro cosa così cui d da dagli dai dal dall dalla dalle dallo degli dei del \
    dell della delle dello dentro di dopo dove due e è ed era erano essere fa fino fra fu già gli ha hanno ho i il in \
    infatti io l la le lei li lo loro lui ma mai me meno mentre mi molto ne negli nei nel nell nella nelle nello no noi \
    non nostro o ogni oltre ora per perché però più poi prima può qual quale quando quanto quella quelle quelli quello \
    questa queste questi questo qui s se sei sempre senza si sia siamo solo sono sopra sotto sta stata stato su sua sue \
    sugli sui sul sull sulla sulle suo suoi tra tutte tutti tutto un una uno va verso vi voi";

const PORTUGUESE: &str = "a à ainda além algo alguém algum alguma alguns ante antes ao aos apenas após aquela aquele \
    aqui as às assim até bem cada com como contra contudo da das de dela dele deles depois desde dessa desse desta \
    deste do dois dos durante e é ela elas ele eles em embora enquanto entre era eram essa essas esse esses esta está \
    estão estas estava este estes eu foi for foram há isso isto já lhe logo mais mas me mesmo meu minha muito muitos na \
    nas nem nessa nesse nesta neste no nos nós nossa nosso não num numa o onde ou os outra outras outro outros para \
    pela pelas pelo pelos per pode podem pois por porém porque qual quando quanto que quem são se segundo seja sem \
    sempre ser será seu seus si sido sob sobre somente sua suas também tanto tem têm ter teu toda todas todo todos um \
    uma umas uns você vos";

const DUTCH: &str = "aan achter af al alle alleen als altijd ander andere anders beide bij binnen boven daar daarna \
    daarom dan dat de deze die dit doch doen door dus een echter eerst en enkele er ervan even geen geweest haar had \
    hadden heb hebben heeft hem het hier hij hoe hun iedere iets ik in indien is ja je jij kan kon kunnen maar maken me \
    meer men met mij mijn moet moeten na naar naast niet niets nieuwe nog nu of om omdat onder ons onze ook op over \
    reeds sinds slechts sommige steeds te tegen ten ter terwijl toch toen tot tussen u uit uw van vanaf veel verder \
    via volgens voor vooral waar waarbij waren was wat we weer wel welke werd werden wie wij wil worden wordt zal ze \
    zeer zelf zich zij zijn zo zoals zonder zou zouden";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_is_told_from_content() {
        for (word, language) in
            [("the", "en"), ("und", "de"), ("l'une", "fr"), ("también", "es"), ("xyz", "fi")]
        {
            assert!(is_stopword(word, language), "{word}");
        }
        for (word, language) in
            [("engine", "en"), ("maschine", "de"), ("l'eau", "fr"), ("motor", "es"), ("kone", "fi")]
        {
            assert!(!is_stopword(word, language), "{word}");
        }
    }
}
